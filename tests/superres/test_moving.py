import torch

from superres.moving import Wandering
from vlogger.types import seeded


def crops(side: int = 32) -> dict[str, torch.Tensor]:
    target = torch.rand(2, 1, 3, side, side, generator=seeded(0))
    visible = torch.ones(2, 1, 1, side, side)
    visible[..., 10:20, 10:20] = 0
    return {"target": target, "warped": target * visible, "visible": visible, "delicate": 1 - visible}


def test_who_does_not_wander_stands_still():
    moved = Wandering(0, 0, 0)(crops(), 3, seeded(0))
    for name, still in crops().items():
        assert torch.allclose(moved[name], still.expand_as(moved[name]), atol=1e-4), name


def test_truth_and_warp_wander_together_in_small_steps():
    smooth = torch.linspace(0, 1, 32).expand(2, 1, 3, 32, 32).clone()
    still = {**crops(), "target": smooth, "warped": smooth * crops()["visible"]}
    moved = Wandering()(still, 8, seeded(0))
    known = moved["visible"].expand_as(moved["warped"]) > 0
    error = (moved["warped"] - moved["target"])[known].abs()
    assert error.quantile(0.9) < 0.01
    assert (moved["warped"][~known] == 0).all()
    inner = moved["target"][..., 8:-8, 8:-8]
    steps = inner.diff(dim=1).abs().amax((2, 3, 4))
    assert (steps.amax(1) > 1e-3).all()
    assert steps.max() < 0.1


def test_holes_stay_holes_and_nothing_is_half_known():
    moved = Wandering()(crops(), 4, seeded(1))
    assert set(moved["visible"].unique().tolist()) == {0.0, 1.0}
    assert 0.05 < (1 - moved["visible"]).mean() < 0.2
