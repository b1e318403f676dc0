"""Chance processes at sampling: the mouth is the network's, pieces meet without a jump, the sound decides when."""

import torch

from motion.drawn import LIDS, SECONDS, Drawing, whole_body
from motion.features import MOUTH, FeatureSpace
from vlogger.types import seeded

MOODY = ("jawLeft", "jawRight", "jawForward", "mouthPress", "mouthSmile", "mouthDimple")
SPACE = FeatureSpace(("neck", "head"), {"brow": 1.0}, {"": 0.1})


def sound(seconds: float) -> torch.Tensor:
    loud = torch.rand(round(seconds * 4), generator=seeded(0)).repeat_interleave(4000)
    return 0.2 * loud * torch.randn(len(loud), generator=seeded(1))


def drawn(seconds: float, step: int, seed: int = 0) -> torch.Tensor:
    drawing, frames = Drawing(SPACE, sound(seconds), seeded(seed)), round(seconds * 25)
    made = torch.full((frames, SPACE.size), 0.3)
    times = (torch.arange(frames).double() + 0.5) / 25
    return torch.cat([drawing(made[k : k + step], times[k : k + step]) for k in range(0, frames, step)])


def test_the_mouth_stays_but_for_its_moods_and_the_arms_join():
    wide, made = whole_body(SPACE), drawn(4, 100)
    mouth = wide.only(MOUTH) > 0
    moody = wide.only([name for name in MOUTH if name.startswith(MOODY)]) > 0
    assert (made[:, mouth & ~moody] == 0.3).all() and "left_wrist" in wide.joints
    assert made[:, moody].std(0).sum() > 0.05 and (made[0, moody] - 0.3).abs().max() < 0.03
    assert made[:, wide.names.index("left_elbow.y")].std() > 0.005
    assert made[0, ~mouth].abs().max() < 0.1, "it starts from the portrait"


def test_steps_do_not_matter_and_the_seed_does():
    whole = drawn(SECONDS + 20, 10_000)
    torch.testing.assert_close(drawn(SECONDS + 20, 80), whole)
    assert (drawn(SECONDS + 20, 80, seed=1) - whole).abs().max() > 0.01


def test_pieces_meet_without_a_jump():
    wide, made = whole_body(SPACE), drawn(2 * SECONDS + 10, 80)
    turn = made[:, wide.names.index("head.y")]
    steps = turn.diff().abs()
    for seam in (SECONDS, 2 * SECONDS):
        near = steps[round(seam * 25) - 5 : round((seam + 1) * 25) + 5]
        assert near.max() < 1.5 * steps.max() and near.max() < 0.03


def test_an_early_blink_shuts_the_eyes_as_any_other():
    lids, early = whole_body(SPACE).only(LIDS) > 0, []
    for seed in range(100):
        shut = drawn(1, 25, seed)[:, lids][:, 0]
        assert shut[0] < 0.5, "it starts from the portrait"
        peak = int(shut[:15].argmax())
        if 0 < peak < 12 and shut[peak] > 0:
            early.append(float(shut[peak]))
    assert len(early) > 2 and min(early) > 0.6, "half a blink"


def test_no_blink_is_half_where_pieces_meet():
    lids, seams = whole_body(SPACE).only(LIDS) > 0, 0
    for seed in range(12):
        shut = drawn(SECONDS + 4, 1000, seed)[:, lids][:, 0]
        ends = (torch.cat([torch.zeros(1), (shut > 0).float(), torch.zeros(1)])).diff()
        runs = list(zip((ends > 0).nonzero().flatten().tolist(), (ends < 0).nonzero().flatten().tolist(), strict=True))
        assert all(shut[first:last].max() > 0.6 for first, last in runs if last < len(shut))
        seams += sum(first < (SECONDS + 1) * 25 and last > SECONDS * 25 for first, last in runs)
    assert seams > 2
