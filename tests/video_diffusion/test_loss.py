"""What the painter's loss looks at."""

import torch

from video_diffusion.loss import Emphasis, base_of, dilated, psnr, repairs
from vlogger.body.parts import PARTS
from vlogger.diffusion.batch import Batch


def a_face(size: int = 12) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """A grey frame whose warp is right everywhere but at one pixel, with one mouth pixel and one hole in the body."""
    clean = torch.zeros(1, 1, 3, size, size)
    parts = torch.zeros(1, 1, len(PARTS), size, size)
    parts[:, :, PARTS.index("head"), :6] = 1
    parts[:, :, :, 2, 2] = 0
    parts[:, :, PARTS.index("teeth"), 2, 2] = 1
    visible = torch.ones(1, 1, 1, size, size)
    visible[..., 4, 9] = visible[..., 10, 9] = 0
    warped = clean.clone()
    warped[..., 8, 3] = 1
    return clean, {"parts": parts, "visible": visible, "warped": warped}


def test_the_weight_counts_holes_in_the_body_details_and_errors():
    clean, condition = a_face()
    weight = Emphasis(hole=2, details=3, wrong=6, large=0.5, margin=1)(clean, condition)[0, 0, 0]
    expected = torch.ones(12, 12)
    expected[4, 9] += 2
    expected[1:4, 1:4] += 3
    expected[8, 3] += 6
    assert torch.allclose(weight[:, :8], expected[:, :8])
    assert weight[4, 9] == expected[4, 9] and weight[10, 9] == 1


def test_dilation_grows_a_pixel_to_a_square():
    mask = torch.zeros(1, 2, 1, 9, 9)
    mask[0, 1, 0, 4, 4] = 1
    grown = dilated(mask, 2)
    assert grown[0, 0].sum() == 0 and grown[0, 1].sum() == 25 and grown[0, 1, 0, 2:7, 2:7].min() == 1


def test_psnr_is_of_the_mask_only():
    clean, mask = torch.zeros(1, 1, 3, 4, 4), torch.zeros(1, 1, 1, 4, 4)
    mask[..., :2] = 1
    prediction = torch.full_like(clean, 0.2)
    prediction[..., 2:] = 1
    assert torch.isclose(psnr(prediction, clean, mask), torch.tensor(20.0), atol=1e-4)


def test_the_warp_itself_repairs_nothing_and_the_truth_much():
    clean, condition = a_face()
    condition["warped"][..., 2, 2] = 0.5
    batch = Batch(clean, condition, torch.ones(1))
    base = repairs(base_of(condition), batch)
    assert base["gain_face"] == 0 and base["gain_mouth"] == 0
    assert repairs(clean, batch)["gain_mouth"] > 10
