"""Laws of the painter's network."""

import torch

from video_diffusion.network import DROPPED, Painter, filled, for_clips
from vlogger.body.parts import PARTS
from vlogger.diffusion.guidance import without


def tiny(**settings) -> Painter:
    torch.manual_seed(0)
    return Painter(widths=(16, 32), embedding=16, **settings).eval()


def randomised(painter: Painter, kept: str = "nothing") -> Painter:
    """All weights random, except those whose name contains `kept`."""
    for name, parameter in painter.named_parameters():
        if kept not in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return painter


def condition(batch: int, frames: int, size: int = 16) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    draw = lambda *shape: torch.rand(*shape, size, size, generator=generator) * 2 - 1  # noqa: E731
    visible = (draw(batch, frames, 1) > 0).float()
    return {
        "surface": draw(batch, frames, 3),
        "parts": (draw(batch, frames, len(PARTS)) > 0.8).float(),
        "warped": draw(batch, frames, 3) * visible,
        "visible": visible,
        "photo": draw(batch, 3),
        "photo_surface": draw(batch, 3),
        "photo_parts": (draw(batch, len(PARTS)) > 0.8).float(),
    }


def inputs(batch: int, frames: int) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    noisy = torch.randn(batch, frames, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    return noisy, torch.arange(batch) * 300.0 + 100, condition(batch, frames)


def test_an_untrained_painter_copies_the_warp_where_it_is_known():
    noisy, timestep, told = inputs(2, 3)
    painted = tiny()(noisy, timestep, told)
    known = told["visible"].expand_as(painted) > 0
    assert torch.equal(painted[known], told["warped"][known])


def test_what_the_photo_shows_stays_as_it_is_if_nothing_finer_is_wanted():
    """Any painter with fine=None: farther than a few pixels from what is not known its picture is the warp."""
    told = condition(1, 2, 32)
    told["visible"] = torch.ones_like(told["visible"])
    told["visible"][..., :8, :8] = 0
    noisy = torch.randn(1, 2, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    painted = randomised(tiny(fine=None))(noisy, torch.tensor([100.0]), told)
    changed = (painted - told["warped"]).abs().amax(2)
    assert changed[..., 16:, :].max() == changed[..., 16:].max() == 0
    assert changed[..., :8, :8].min() > 0


def test_a_zero_initialised_control_changes_nothing():
    """A base that does something, and a control branch at its start: the correction ignores all that is told."""
    painter = randomised(tiny(), kept="control.zeros")
    noisy, timestep, told = inputs(2, 1)
    other = {**told, "surface": -told["surface"], "photo": -told["photo"], "parts": 1 - told["parts"]}

    def correction(told):
        return painter(noisy, timestep, told) - painter.prepare(told)["base"]

    assert correction(told).abs().max() > 0.01
    torch.testing.assert_close(correction(told), correction(other), atol=1e-4, rtol=1e-4)
    torch.nn.init.normal_(painter.control.zeros[0].weight)
    assert not torch.allclose(correction(told), correction(other), atol=1e-3)


def test_the_retouched_warp_knows_no_noise():
    """With the diffusion network's last layer zero, all noise levels paint the same: the retouched warp."""
    painter = randomised(tiny(), kept="unet.out")
    torch.nn.init.zeros_(painter.unet.out.weight), torch.nn.init.zeros_(painter.unet.out.bias)
    noisy, timestep, told = inputs(2, 3)
    assert torch.equal(painter(noisy, timestep, told), painter(-noisy, timestep + 7, told))
    assert (
        painter(noisy, timestep, told)
        - filled(told["warped"].flatten(0, 1), told["visible"].flatten(0, 1)).view_as(noisy)
    ).abs().max() > 0.01


def test_temporal_layers_at_their_start_make_a_clip_of_its_frames():
    painter = randomised(tiny(temporal_decoder=True), kept="temporal")
    noisy, timestep, told = inputs(1, 4)
    clip = painter(noisy, timestep, told)
    for frame in range(4):
        one = {name: value[:, frame : frame + 1] if value.ndim == 5 else value for name, value in told.items()}
        assert torch.allclose(
            painter(noisy[:, frame : frame + 1], timestep, one), clip[:, frame : frame + 1], atol=1e-5
        )


def test_a_frame_sees_others_exactly_as_far_as_reach_says():
    painter = randomised(tiny())
    noisy, timestep, told = inputs(1, 9)
    noisy.requires_grad_()
    painter(noisy, timestep, told)[:, 0].sum().backward()
    seen = noisy.grad.abs().amax(dim=(0, 2, 3, 4)) > 0
    assert seen.tolist() == [frame <= painter.reach for frame in range(9)]


def test_without_its_temporal_layers_each_frame_is_painted_alone():
    painter = randomised(tiny(temporal=False))
    noisy, timestep, told = inputs(2, 5)
    clip = painter(noisy, timestep, told)
    assert painter.reach == 0
    for frame in range(5):
        one = {name: value[:, frame : frame + 1] if value.ndim == 5 else value for name, value in told.items()}
        alone = painter(noisy[:, frame : frame + 1], timestep, one)
        torch.testing.assert_close(alone, clip[:, frame : frame + 1], atol=1e-5, rtol=1e-5)
    seeing = tiny()
    seeing.load_state_dict(painter.state_dict())
    assert not torch.allclose(seeing(noisy, timestep, told), clip, atol=1e-3)
    later = painter(noisy, timestep, told, known=2)
    torch.testing.assert_close(later[:, 2:], clip[:, 2:], atol=1e-5, rtol=1e-5)


def test_prepared_conditions_and_reference_features_give_the_same():
    painter = randomised(tiny())
    noisy, timestep, told = inputs(2, 2)
    reference = painter.reference_features(told)
    frames = {name: told[name] for name in ("surface", "parts", "warped", "visible")}
    prepared = painter.prepare({**frames, **reference})
    assert torch.allclose(painter(noisy, timestep, prepared), painter(noisy, timestep, told), atol=1e-6)


def test_a_row_without_controls_is_painted_as_guidance_paints_without_them():
    """Training drops what sampling drops: the same zeros, in these rows only, over the same base."""
    painter = randomised(tiny())
    noisy, timestep, told = inputs(3, 2)
    prepared = painter.prepare(told)
    dropped = painter(noisy, timestep, {**told, "controls": torch.tensor([1.0, 0.0, 1.0])})
    led, free = painter(noisy, timestep, prepared), painter(noisy, timestep, without(prepared, DROPPED))
    torch.testing.assert_close(dropped[[0, 2]], led[[0, 2]])
    torch.testing.assert_close(dropped[1], free[1])
    assert not torch.allclose(led[1], free[1], atol=1e-3)


def test_filling_keeps_what_is_known_and_stays_within_its_range():
    generator = torch.Generator().manual_seed(0)
    pictures = torch.rand(2, 3, 16, 24, generator=generator)
    known = (torch.rand(2, 1, 16, 24, generator=generator) > 0.9).float()
    result = filled(pictures * known, known)
    assert torch.equal(result[known.expand_as(result) > 0], pictures[known.expand_as(result) > 0])
    for picture, mask, fill in zip(pictures, known, result):
        seen = picture[:, mask[0] > 0]
        assert (fill.amin(dim=(1, 2)) >= seen.amin(dim=1) - 1e-6).all()
        assert (fill.amax(dim=(1, 2)) <= seen.amax(dim=1) + 1e-6).all()
    assert torch.equal(filled(pictures, torch.zeros_like(known)), torch.zeros_like(pictures))


def test_the_second_training_moves_control_and_time_but_not_the_base(tmp_path):
    randomised(tiny(temporal_decoder=True)).save_pretrained(tmp_path)
    painter = for_clips(str(tmp_path))
    before = {name: parameter.detach().clone() for name, parameter in painter.named_parameters()}
    noisy, timestep, told = inputs(1, 3)
    optimizer = torch.optim.SGD([p for p in painter.parameters() if p.requires_grad], lr=1e-3)
    painter(noisy, timestep, told).square().mean().backward()
    optimizer.step()
    moved = {name for name, parameter in painter.named_parameters() if not torch.equal(parameter, before[name])}
    base = {name for name in before if name.startswith("unet.") and ".temporal." not in name}
    assert not moved & base
    assert not {name for name in before if ".temporal." in name} - moved
    assert "control.hint.weight" in moved


def test_only_the_temporal_layers_learn_when_asked(tmp_path):
    tiny().save_pretrained(tmp_path)
    painter = for_clips(str(tmp_path), control=False)
    assert all((".temporal." in name) == parameter.requires_grad for name, parameter in painter.named_parameters())
    assert any(parameter.requires_grad for parameter in painter.parameters())
