"""Laws of the motion network: causality, positions, known frames, checkpoints."""

import json

import pytest
import torch

from motion.audio import around, frame_times
from motion.features import MOUTH
from motion.network import MotionTransformer, causal_mask, continued, load_network
from motion.regression import fit_direct
from vlogger.errors import UserError

HEARS, OFFSETS = 80, (-0.05, 0.0, 0.1)


def tiny(reach: int = 64, seed: int = 0, direct: bool = False, ahead: bool = False) -> MotionTransformer:
    torch.manual_seed(seed)
    network = MotionTransformer(
        width=32, layers=2, heads=2, dropout=0.0, reach=reach, hears=HEARS, offsets=OFFSETS, direct=direct, ahead=ahead
    )
    torch.nn.init.normal_(network.head.weight, std=0.3)
    if direct:
        torch.nn.init.normal_(network.reading.weight, std=0.1)
        torch.nn.init.normal_(network.trust.weight, std=0.1)
    return network.eval()


def inputs(network: MotionTransformer, frames: int = 10, seed: int = 0) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    chance = torch.Generator().manual_seed(seed)
    size = network.space.size
    condition = {
        "audio": torch.randn(2, frames, len(OFFSETS) * HEARS, generator=chance),
        "time": (torch.arange(frames) / 25).expand(2, frames),
        "past": torch.randn(2, frames, size, generator=chance),
        "given": torch.zeros(2, frames, 1),
    }
    return torch.randn(2, frames, size, generator=chance), condition


@pytest.mark.parametrize("name", ["noisy", "audio", "past", "given"])
def test_a_frame_depends_on_itself_and_the_past_only(name):
    network = tiny()
    noisy, condition = inputs(network)
    condition["given"] = torch.full_like(condition["given"], 0.7)
    watched = (noisy if name == "noisy" else condition[name]).requires_grad_()
    if name == "noisy":
        condition["given"] = torch.zeros_like(condition["given"])
    network(noisy, torch.tensor([500, 500]), condition)[:, 4].sum().backward()
    assert watched.grad is not None
    reached = watched.grad.abs().sum(dim=(0, 2)) > 0
    assert reached[:5].all() and not reached[5:].any()


def test_looking_ahead_frames_that_are_made_agree_and_what_is_known_sees_nothing_of_them():
    network = tiny(ahead=True, reach=4)
    noisy, condition = inputs(network, 12)
    condition["given"][:, :5] = 1
    whole = network(noisy, 500, condition)
    later = noisy.clone()
    later[:, 8] += 1
    changed = (network(later, 500, condition) - whole).abs().amax(dim=(0, 2)) > 1e-6
    assert changed.tolist() == 5 * [False] + 7 * [True], "two layers of reach 3 from frame 8, but nothing of the known"
    one = tiny(ahead=True, reach=4).requires_grad_(False)
    one.blocks = one.blocks[:1]
    near = (one(later, 500, condition) - one(noisy, 500, condition)).abs().amax(dim=(0, 2)) > 1e-6
    assert near.tolist() == [frame in range(5, 12) for frame in range(12)]


def test_sound_is_heard_no_further_ahead_than_documented():
    network = tiny()
    noisy, condition = inputs(network)
    mel = torch.randn(60, HEARS, generator=torch.Generator().manual_seed(1), requires_grad=True)
    condition["audio"] = around(mel, 100.0, frame_times(10, 25), OFFSETS, torch.zeros(HEARS)).expand(2, -1, -1)
    network(noisy, 500, condition)[:, 4].sum().backward()
    assert mel.grad is not None
    last = int((mel.grad.abs().sum(1) > 0).nonzero().max())
    assert last <= round((4.5 / 25) * 100) + 10 + 1, "and the column after, for what lies between"


def test_the_direct_reading_adds_what_a_frames_own_sound_says():
    plain, direct = tiny(), tiny(direct=True)
    noisy, condition = inputs(plain)
    direct.load_state_dict(plain.state_dict(), strict=False)
    torch.nn.init.zeros_(direct.trust.weight)
    direct.reading.bias.data.fill_(0.5)
    condition["audio"][0, 3] = 0.0
    added = direct(noisy, 900, condition) - plain(noisy, 900, condition)
    wanted = direct.reading(condition["audio"])
    wanted[0, 3] = 0.0
    torch.testing.assert_close(added, wanted, atol=1e-5, rtol=1e-4)


def test_weights_without_it_learn_on_with_it(tmp_path):
    plain = tiny()
    plain.save_pretrained(tmp_path)
    grown = continued(tmp_path, direct=True, ahead=False).eval()
    noisy, condition = inputs(plain)
    torch.testing.assert_close(grown(noisy, 900, condition), plain(noisy, 900, condition))
    assert grown.config["direct"] and not continued(tmp_path).config["direct"]
    assert continued(tmp_path, ahead=True).config["ahead"] and not continued(tmp_path).config["ahead"]
    rescaled = continued(tmp_path, scale={"brow": 0.5})
    assert set(rescaled.space.scales[rescaled.space.only(["browInnerUp"]) > 0].tolist()) == {0.5}
    assert (continued(tmp_path).space.scales == plain.space.scales).all()


def test_weights_from_before_it_existed_learn_on_with_it(tmp_path):
    tiny().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["direct"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert continued(tmp_path, direct=True).config["direct"]


def test_the_fitted_reading_finds_a_mouth_that_follows_the_sound():
    network = tiny(direct=True)
    chance = torch.Generator().manual_seed(0)
    heard = torch.randn(4000, len(OFFSETS) * HEARS, generator=chance)
    truth = torch.randn(heard.shape[1], network.space.size, generator=chance) * (network.space.only(MOUTH) > 0)
    features = heard @ truth + 0.7
    assert float(fit_direct(network, heard, features).min()) > 0.95
    with torch.no_grad():
        read = network.reading(heard)
    mouth = network.space.only(MOUTH) > 0
    assert float((read - features)[:, mouth].square().mean() / features[:, mouth].var()) < 0.05
    assert float(read[:, ~mouth].abs().max()) == 0.0


def test_nothing_is_seen_beyond_the_reach():
    mask = causal_mask(6, 3, torch.device("cpu"))
    for row in range(6):
        for column in range(6):
            assert bool(mask[row, column]) == (0 <= row - column < 3)


def test_only_time_differences_count():
    network = tiny()
    noisy, condition = inputs(network)
    later = {**condition, "time": condition["time"] + 3.0}
    torch.testing.assert_close(network(noisy, 500, condition), network(noisy, 500, later), atol=1e-4, rtol=1e-4)
    slower = {**condition, "time": condition["time"] * 2}
    assert (network(noisy, 500, condition) - network(noisy, 500, slower)).abs().max() > 1e-3


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("cuts", [(5,), (1, 2, 9), (12, 13, 30)])
def test_remembered_frames_count_as_if_they_were_still_there(cuts, ahead):
    network = tiny(reach=8, ahead=ahead)
    noisy, condition = inputs(network, 40)
    condition["given"][:, :35] = 1  # the last five are asked for
    whole = network(noisy, 700, condition)
    memories = None
    for first, last in zip((0, *cuts), (*cuts, 35), strict=True):
        part = {name: value[:, first:last] for name, value in condition.items()}
        _, memories = network.remember(noisy[:, first:last], 0, part, memories)
        memories = [memory.last(7) for memory in memories]
    rest = {name: value[:, 35:] for name, value in condition.items()}
    made, _ = network.remember(noisy[:, 35:], 700, rest, memories)
    torch.testing.assert_close(made, whole[:, 35:], atol=1e-5, rtol=1e-5)
    assert memories is not None and memories[0].keys.shape[2] == 7


def test_an_hour_in_positions_are_still_exact():
    network = tiny()
    noisy, condition = inputs(network)
    exact = condition["time"].double()
    late = network(noisy, 500, {**condition, "time": exact + 3600.0})
    torch.testing.assert_close(late, network(noisy, 500, {**condition, "time": exact}), atol=1e-4, rtol=1e-4)


def test_known_frames_replace_the_noisy_ones():
    network = tiny()
    noisy, condition = inputs(network)
    condition["given"][:, :4] = 1
    changed = noisy.clone()
    changed[:, :4] += 1
    torch.testing.assert_close(network(noisy, 900, condition), network(changed, 900, condition))
    first, second = (network(noisy, step, condition)[:, :4] for step in (900, 100))
    torch.testing.assert_close(first, second)  # known frames are at step 0 whatever the others' is


def test_checkpoint_round_trip(tmp_path):
    torch.manual_seed(1)
    network = MotionTransformer(
        width=32,
        layers=1,
        heads=2,
        hears=HEARS,
        offsets=OFFSETS,
        joints=("head",),
        keep={"brow": 1.0},
        scale={"jaw": 0.2},
    ).eval()
    network.save_pretrained(tmp_path)
    again = load_network(tmp_path)
    assert again.space == network.space and again.space.joints == ("head",)
    noisy, condition = inputs(network)
    torch.testing.assert_close(again(noisy, 10, condition), network(noisy, 10, condition))
    assert not again.training


def test_shipped_weights():
    network = load_network()
    assert sum(parameter.numel() for parameter in network.parameters()) <= 5_000_000
    assert network.config["dropout"] < 1 and not network.training


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match=tmp_path.name):
        load_network(tmp_path)
