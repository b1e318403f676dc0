"""Steering by scalars: what changes, and what does not."""

import pytest
import torch

from motion.features import MOUTH, FeatureSpace
from motion.judge import Judge, lips, load_judge, ridge
from motion.steering import Blink, Emotion, Expression, Gaze, Gesture, Head, View, begins
from vlogger.errors import UserError
from vlogger.types import seeded

SPACE = FeatureSpace(("neck", "head", "left_eye", "right_eye", "spine3", "left_elbow", "right_elbow"))


def made(frames: int = 50) -> tuple[torch.Tensor, View]:
    features = 0.1 * torch.randn(frames, SPACE.size, generator=seeded(0))
    return features, View(SPACE, torch.arange(frames) / 25 + 0.02, torch.ones(frames), seeded(1))


def at(name: str) -> int:
    return SPACE.names.index(name)


@pytest.mark.parametrize("edit", [Expression(), Head(), Gesture(), Gaze(), Emotion(), Blink().begin()])
def test_the_defaults_change_nothing(edit):
    features, view = made()
    torch.testing.assert_close(edit(features, view), features)


@pytest.mark.parametrize(
    ("edit", "moved"), [(Expression(0.0), "jawOpen"), (Head(0.0), "head.x"), (Gesture(0.0), "left_elbow.y")]
)
def test_a_scale_of_zero_stills_its_own_part(edit, moved):
    features, view = made()
    changed = edit(features, view)
    assert changed[:, at(moved)].abs().max() == 0
    others = [name for name in ("jawOpen", "head.x", "left_elbow.y") if name != moved]
    for name in others:
        assert torch.equal(changed[:, at(name)], features[:, at(name)])


def test_a_livelier_head_does_not_move_the_gaze():
    features, view = made()
    changed = Head(2.0)(features, view)
    before, after = (
        x[:, at("left_eye.y")] + 0.9 * (x[:, at("neck.y")] + x[:, at("head.y")]) for x in (features, changed)
    )
    torch.testing.assert_close(before, after)
    torch.testing.assert_close(changed[:, at("head.x")], 2 * features[:, at("head.x")])


def test_gaze():
    features, view = made()
    camera, fixed = Gaze("camera")(features, view), Gaze("fixed")(features, view)
    assert fixed[:, at("left_eye.x")].abs().max() == 0
    wandering, looking = (
        x[:, at("left_eye.y")] + 0.9 * (x[:, at("neck.y")] + x[:, at("head.y")]) for x in (features, camera)
    )
    torch.testing.assert_close(looking, 0.15 * wandering)
    with pytest.raises(UserError, match="sideways"):
        Gaze("sideways")


@pytest.mark.parametrize("rate", [6.0, 17.0, 40.0])
def test_blinks_come_at_the_wanted_rate_across_pieces(rate):
    edit, chance, shut = Blink(rate).begin(), seeded(0), []
    for piece in range(300):
        times = (torch.arange(50) + 50 * piece) / 25
        shut.append(edit(torch.zeros(50, SPACE.size), View(SPACE, times, torch.full((50,), 0.7), chance)))
    curve = torch.cat(shut)[:, at("eyeBlinkLeft")]
    count = int(((curve[1:] > 0.5) & (curve[:-1] <= 0.5)).sum())
    assert abs(count / 10 - 0.8 * rate) < 0.35 * rate + 1


def test_feelings_come_softly_and_scale():
    features, view = made()
    happy = Emotion("happy", 1.0)(features, view) - features
    assert happy[0, at("mouthSmileLeft")] < 0.05 and happy[-1, at("mouthSmileLeft")] == pytest.approx(0.55)
    torch.testing.assert_close(Emotion("happy", 0.5)(features, view) - features, 0.5 * happy)
    assert (Emotion("sad")(features, view) - features)[-1, at("mouthFrownRight")] > 0.3
    with pytest.raises(UserError, match="bored"):
        Emotion("bored")


def test_names_begin():
    assert begins(SPACE, "head").sum() == 3 and SPACE.only(MOUTH).sum() == len(MOUTH)


def test_the_judge_prefers_the_lips_that_belong_to_the_sound():
    chance = seeded(0)
    heard = torch.randn(200, 10, generator=chance)
    truth = torch.zeros(200, SPACE.size)
    truth[:, 0] = (heard @ torch.randn(10, generator=chance)).clamp(-1, 1)
    judge = Judge(ridge(heard, lips(SPACE, truth), 1e-4))
    motions = torch.stack([truth.roll(20, 0), truth, truth.roll(-7, 0)])
    assert int(judge(SPACE, heard, motions).argmax()) == 1


def test_ridge_is_least_squares_without_strength():
    heard, weight = torch.randn(100, 4, generator=seeded(0)), torch.randn(4, 2, generator=seeded(1))
    torch.testing.assert_close(ridge(heard, heard @ weight + 3, 0.0), weight, atol=1e-4, rtol=1e-4)


def test_the_shipped_judge_fits_the_shipped_network(tmp_path):
    from motion.network import load_network

    config = load_network().config
    assert load_judge().weight.shape == (config["hears"] * len(config["offsets"]), 2)
    with pytest.raises(UserError, match="judge"):
        load_judge(tmp_path / "none.safetensors")
