import json

import pytest
import torch

from superres.blend import SCALE, blend
from superres.network import Sharpener, for_clips, from_pretrained, grown
from vlogger.errors import UserError
from vlogger.pixels import shrink

TINY = {"widths": (16, 16), "depths": (1, 1), "embedding": 16}


def tiny(**settings) -> Sharpener:
    """A network that is small and not all zero."""
    torch.manual_seed(0)
    network = Sharpener(**TINY, **settings)
    for name, parameter in network.named_parameters():
        if "leave" in name or "conv2" in name or "temporal" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    return network.eval().requires_grad_(False)


def condition(b: int, t: int, small: int, large: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = {"small": (3, small), "warped": (3, large), "visible": (1, large)}
    return {name: torch.rand(b, t, c, side, side, generator=generator) for name, (c, side) in shapes.items()}


@pytest.mark.parametrize(("b", "t", "small", "large"), [(1, 1, 16, 32), (2, 3, 16, 32), (1, 2, 16, 64)])
def test_shapes_for_both_factors(b, t, small, large):
    noisy = torch.randn(b, t, 3, large, large)
    assert tiny()(noisy, torch.full((b,), 500), condition(b, t, small, large)).shape == noisy.shape


def test_new_weights_change_nothing():
    told = condition(1, 2, 16, 32)
    residual = Sharpener(**TINY)(torch.randn(1, 2, 3, 32, 32), torch.tensor([999]), told)
    assert torch.equal(blend(**told) + SCALE * residual, blend(**told))


def test_every_condition_the_step_and_the_noise_are_heard():
    told, noisy, network = condition(1, 1, 16, 32), torch.randn(1, 1, 3, 32, 32), tiny()
    before = network(noisy, torch.tensor([500]), told)
    for name, value in told.items():
        assert not torch.allclose(before, network(noisy, torch.tensor([500]), {**told, name: 1 - value}))
    assert not torch.allclose(before, network(noisy, torch.tensor([10]), told))
    assert not torch.allclose(before, network(-noisy, torch.tensor([500]), told))


@pytest.mark.parametrize("temporal", [False, True])
def test_only_temporal_convolutions_carry_news_between_frames(temporal):
    told, noisy, network = condition(1, 3, 16, 32), torch.randn(1, 3, 3, 32, 32), tiny(temporal=temporal)
    changed = noisy.clone()
    changed[:, 0] += 1
    before, after = (network(x, torch.tensor([500]), told)[:, 1:] for x in (noisy, changed))
    assert torch.allclose(before, after) != temporal


def test_weights_in_other_units_are_refused(tmp_path):
    tiny().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for other in ({**config, "scale": 0.1}, {name: value for name, value in config.items() if name != "scale"}):
        (tmp_path / "config.json").write_text(json.dumps(other))
        with pytest.raises(UserError, match="units"):
            from_pretrained(tmp_path)


def test_saved_and_read_back_it_is_the_same(tmp_path):
    network, noisy, told = tiny(), torch.randn(1, 1, 3, 32, 32), condition(1, 1, 16, 32)
    network.save_pretrained(tmp_path)
    again = from_pretrained(tmp_path)
    first, second = (made(noisy, torch.tensor([3]), told) for made in (network, again))
    assert torch.allclose(first, second, atol=1e-5)
    assert not again.training


def test_a_folder_without_weights_is_named(tmp_path):
    with pytest.raises(UserError, match=tmp_path.name):
        from_pretrained(tmp_path)


def test_made_for_clips_it_is_the_same_network_and_only_time_learns(tmp_path):
    tiny().save_pretrained(tmp_path)
    single, clips, told = from_pretrained(tmp_path), for_clips(tmp_path), condition(1, 3, 16, 32)
    noisy = torch.randn(1, 3, 3, 32, 32)
    first, second = (made(noisy, torch.tensor([3]), told) for made in (single, clips))
    assert torch.allclose(first, second, atol=1e-5)
    learning = {name for name, parameter in clips.named_parameters() if parameter.requires_grad}
    assert learning
    assert all(".temporal." in name for name in learning)


def test_a_grown_network_makes_the_same_pictures_and_all_of_it_learns(tmp_path):
    tiny().save_pretrained(tmp_path)
    before, after, told = from_pretrained(tmp_path), grown(tmp_path, depths=(2, 3)), condition(1, 2, 16, 32)
    noisy = torch.randn(1, 2, 3, 32, 32)
    first, second = (made(noisy, torch.tensor([3]), told) for made in (before, after))
    assert torch.allclose(first, second, atol=1e-5)
    assert len(list(after.parameters())) > len(list(before.parameters()))
    assert after.training
    assert all(parameter.requires_grad for parameter in after.parameters())


def test_told_that_the_small_video_is_exact_its_means_are_nearly_that():
    told, noisy, network = condition(2, 1, 16, 64), torch.randn(2, 1, 3, 64, 64), tiny(exactness=True)
    told["small"] = 0.5 + 0.1 * (told["small"] - 0.5)
    torch.nn.init.normal_(network.get_parameter("exact.weight"), std=0.5)
    painted = network(noisy, torch.tensor([500]), told)
    some = network(noisy, torch.tensor([500]), {**told, "exact": torch.tensor([0.0, 1]).view(2, 1, 1, 1, 1)})
    assert torch.equal(some[0], painted[0])
    assert not torch.allclose(some[1], painted[1], atol=0.1)
    pictures = [blend(**told) + SCALE * residual for residual in (painted, some)]
    before, after = ((shrink(picture, 4) - told["small"])[1].abs().mean() for picture in pictures)
    assert after < 0.4 * before


def test_exactness_is_learned_from_a_network_without(tmp_path):
    tiny().save_pretrained(tmp_path)
    before, after = from_pretrained(tmp_path), grown(tmp_path, exactness=True)
    told, noisy = condition(1, 1, 16, 32), torch.randn(1, 1, 3, 32, 32)
    first, second = (made(noisy, torch.tensor([3]), told) for made in (before, after))
    assert torch.allclose(first, second, atol=1e-5)
    loss = after(noisy, torch.tensor([3]), {**told, "exact": torch.ones(1, 1, 1, 1, 1)}).square().mean()
    (learned,) = torch.autograd.grad(loss, after.get_parameter("exact.weight"))
    assert learned.abs().sum() > 0
