"""Painters that are told less see no more than they should."""

import pytest
import torch

from video_diffusion.less import LessTold, dots, keypoints
from video_diffusion.network import painter_in
from vlogger.body.parts import PARTS
from vlogger.body.smplx import load_body
from vlogger.errors import UserError

SIZE = 32


def condition(seed: int = 0) -> dict[str, torch.Tensor]:
    chance = torch.Generator().manual_seed(seed)
    place = torch.linspace(-0.3, 0.3, SIZE)
    surface = torch.stack([place.expand(SIZE, SIZE), place[:, None].expand(SIZE, SIZE), torch.full((SIZE, SIZE), 0.3)])
    parts = torch.zeros(len(PARTS), SIZE, SIZE)
    parts[0] = 1
    return {
        "surface": surface.expand(1, 2, -1, -1, -1),
        "parts": parts.expand(1, 2, -1, -1, -1),
        "warped": torch.rand(1, 2, 3, SIZE, SIZE, generator=chance),
        "visible": torch.ones(1, 2, 1, SIZE, SIZE),
        "photo": torch.rand(1, 3, SIZE, SIZE, generator=chance),
        "photo_surface": surface[None],
        "photo_parts": parts[None],
    }


def painted(told: str, given: dict[str, torch.Tensor]) -> torch.Tensor:
    torch.manual_seed(0)
    network = LessTold(told, widths=(8, 16), embedding=16).eval()
    for layer in (network.unet.out, network.retouch.out):
        torch.nn.init.normal_(layer.weight, std=0.1)
    for parameter in network.control.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    noise = torch.randn(1, 2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        return network(noise, torch.tensor([500]), given)


@pytest.mark.parametrize("told", ["keypoints", "dense"])
def test_the_warp_is_not_told(told):
    given = condition()
    other = {**given, "warped": 1 - given["warped"]}
    assert torch.equal(painted(told, given), painted(told, other))
    assert not torch.equal(painted("warp", given), painted("warp", other))


def test_keypoints_tell_less_of_the_surface_than_the_dense_map():
    given = condition()
    network = LessTold("keypoints", widths=(8, 16), embedding=16)
    left = network.less(given, "")["surface"]
    kept = (left != 0).any(2)
    assert torch.equal(left[kept[:, :, None].expand_as(left)], given["surface"][kept[:, :, None].expand_as(left)])
    assert 0 < kept.float().mean() < 0.1
    assert torch.equal(LessTold("dense", widths=(8, 16), embedding=16).less(given, "")["surface"], given["surface"])


def test_each_keypoint_is_the_nearest_pixel_that_shows_it():
    points, surface = keypoints(load_body())[:5], torch.zeros(1, 3, 4, 4)
    body = torch.ones(1, 1, 4, 4)
    surface[0, :, 1, 2], surface[0, :, 3, 0] = points[0], points[3]
    surface[0, :, 0, 0] = points[1]
    body[0, 0, 0, 0] = 0
    found = dots(surface, body, points[[0, 1, 3]])[0, 0].nonzero().tolist()
    assert found == [[1, 2], [3, 0]]


def test_an_unknown_name_is_an_error():
    with pytest.raises(UserError, match="keypoints, dense, warp"):
        LessTold("all")


def test_weights_remember_what_they_were_told(tmp_path):
    LessTold("dense", widths=(8, 16), embedding=16, temporal=False).save_pretrained(tmp_path)
    found = painter_in(tmp_path)
    assert isinstance(found, LessTold) and found.config["told"] == "dense"
    assert found.reach == 0 < LessTold("dense", widths=(8, 16), embedding=16).reach
