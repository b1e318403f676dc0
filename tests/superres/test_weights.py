"""The weights that come with the package, on a picture that no training saw: a photograph by NASA, public domain."""

from dataclasses import replace

import pytest
import skimage.data
import torch
from hydra import compose, initialize_config_module
from hydra.utils import instantiate
from torch import Tensor

from superres.blend import enlarge
from superres.loss import decibels
from superres.sample import DiffusionUpscale
from vlogger.pixels import shrink, to_uint8
from vlogger.types import seeded

FACE = ..., slice(64, 192), slice(160, 288)
"""Of the picture of 512 pixels."""


@pytest.fixture(scope="module")
def picture() -> Tensor:
    return torch.from_numpy(skimage.data.astronaut()).permute(2, 0, 1)[None] / 255


@pytest.fixture(scope="module")
def stage() -> DiffusionUpscale:
    with initialize_config_module("conf", version_base="1.3"):
        return instantiate(compose(overrides=["+superres=default", "superres.precision=float32"]).superres)


def gain(stage: DiffusionUpscale, truth: Tensor, small: Tensor, photo: Tensor, shown: Tensor) -> float:
    """Decibels in the face over bicubic enlargement."""
    noise = torch.randn(truth.shape, generator=seeded(0))
    made = stage.sharpen(small, photo * shown, shown, noise).float() / 255
    plain = enlarge(small.float() / 255, truth.shape[-1] // small.shape[-1])
    return float(decibels((made - truth)[FACE]) - decibels((plain - truth)[FACE]))


def test_a_true_small_picture_is_enlarged_better_than_by_bicubic(stage, picture):
    small, nothing = to_uint8(255 * shrink(picture, 4)), torch.zeros_like(picture[:, :1])
    assert gain(replace(stage, exact=True), picture, small, picture, nothing) > 1.3


def test_a_photo_that_shows_it_helps(stage, picture):
    small, shown = to_uint8(255 * shrink(picture, 4)), torch.ones_like(picture[:, :1])
    assert gain(replace(stage, exact=True), picture, small, picture, shown) > 6
