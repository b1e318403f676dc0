"""Lips: against a posed body, and expressions that show what is wanted."""

import pytest
import torch

from motion.features import EXPRESSIONS
from motion.lips import POINTS, lips_of, lips_on
from vlogger.body.smplx import load_body, pose
from vlogger.types import seeded


@pytest.fixture(scope="module")
def body():
    return load_body()


def mouths(frames: int) -> torch.Tensor:
    mouth = torch.tensor([float(name.startswith(("mouth", "jaw"))) for name in EXPRESSIONS])
    return 0.4 * torch.rand(frames, 52, generator=seeded(0)) * mouth


def test_lips_are_those_of_the_posed_body(body):
    expression = mouths(3)
    still = torch.eye(3).expand(3, 55, 3, 3)
    vertices = pose(body, torch.zeros(1), still, expression, torch.zeros(3, 3)).vertices
    numbers = list(POINTS)
    points = (vertices[:, body.faces[body.mp_faces[numbers]]] * body.mp_bary[numbers][..., None]).sum(2)
    torch.testing.assert_close(lips_on(body)(expression), lips_of(points), atol=1e-5, rtol=1e-4)


def test_slopes_are_differences(body):
    lips, expression, step = lips_on(body), mouths(2).double(), 1e-4
    lips = type(lips)(lips.base.double(), lips.units.double())
    slopes = lips.slopes(expression)
    for unit in (EXPRESSIONS.index("jawOpen"), EXPRESSIONS.index("mouthPucker")):
        there = expression + step * torch.eye(52).double()[unit]
        torch.testing.assert_close((lips(there) - lips(expression)) / step, slopes[..., unit], atol=1e-4, rtol=1e-3)


def test_an_expression_shows_the_lips_that_are_wanted(body):
    lips, varied = lips_on(body), mouths(200)
    wanted = lips(mouths(40)[20:])
    found = lips.showing(wanted, torch.zeros(20, 52), torch.cov(varied.T))
    assert found.min() >= 0 and found.max() <= 1
    assert (lips(found) - wanted).abs().mean() < 0.1 * (lips(torch.zeros(52)) - wanted).abs().mean()
    never = varied.var(0) == 0
    assert not found[:, never].any(), "units that people do not use stay out of it"


def test_what_is_right_already_stays(body):
    lips, right = lips_on(body), mouths(10)
    found = lips.showing(lips(right), right, torch.cov(mouths(200).T))
    torch.testing.assert_close(found, right, atol=1e-4, rtol=0)
