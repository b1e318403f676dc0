"""The stage that draws: lazy windows equal the whole, no motion is the photo, the camera's place does not matter."""

from dataclasses import replace

import pytest
import torch

from render.controls import MeshControls
from vlogger.errors import UserError
from vlogger.stages import ControlSequence, MotionToControls, without_maps
from vlogger.types import Motion, Portrait

NAMES = ("surface", "parts", "warped", "visible", "moved")


@pytest.fixture(scope="module")
def stage(body):
    return MeshControls(body)


def test_satisfies_the_protocols(stage, seated, still):
    assert isinstance(stage, MotionToControls)
    sequence = stage(still, seated, size=64)
    assert isinstance(sequence, ControlSequence)
    assert len(sequence) == 2 and sequence.size == 64 and sequence.fps == 25.0
    assert sequence.photo.shape == (3, 64, 64) and sequence.photo.min() >= 0 and sequence.photo.max() <= 1


@pytest.mark.parametrize("size", [64, 96, 128])
def test_no_motion_is_the_photo(stage, seated, still, size):
    sequence = stage(still, seated, size=size)
    for controls in (sequence[:], sequence.reference):
        assert torch.allclose(controls.warped, sequence.photo.expand_as(controls.warped), atol=1e-3)
        assert (controls.visible == 1).all() and (controls.moved == 0).all()


def test_windows_equal_the_whole(stage, seated, nod):
    sequence = stage(nod(0.0, 0.2, 0.0), seated, size=64)
    whole, second, none = sequence[:], sequence[1:2], sequence[2:]
    assert len(whole) == 2 and len(none) == 0
    assert all(torch.equal(getattr(whole, name)[1:], getattr(second, name)) for name in NAMES)


def test_without_maps_nothing_else_changes(stage, seated, nod):
    sequence = stage(nod(0.0, 0.2, 0.0), seated, size=64)
    bare = without_maps(sequence)
    whole, some = sequence[:], bare[:]
    assert all(torch.equal(getattr(whole, name), getattr(some, name)) for name in ("warped", "visible", "moved"))
    assert (some.surface == 0).all() and (some.parts == 0).all() and (whole.parts == 1).any()
    assert torch.equal(sequence[:].surface, whole.surface) and torch.equal(
        bare.reference.parts, sequence.reference.parts
    )


def test_turning_camera_and_body_together_changes_nothing(stage, body, seated, nod):
    """Half a turn of both about the view axis: the same picture upside down."""
    motion, upside_down = nod(0.1, 0.2, 0.0), torch.diag(torch.tensor([-1.0, -1.0, 1.0]))
    pelvis = body.J_template[0]
    turned = Motion(
        torch.cat([upside_down @ motion.rotations[:, :1], motion.rotations[:, 1:]], 1),
        motion.expression,
        (motion.translation + pelvis) @ upside_down.T - pelvis,
        motion.fps,
    )
    other = replace(
        seated,
        rotations=turned.rotations[0],
        translation=turned.translation[0],
        portrait=Portrait(seated.portrait.image.flip(1, 2)),
    )
    one, two = stage(motion, seated, size=96)[1:], stage(turned, other, size=96)[1:]
    for name in NAMES:
        difference = (getattr(one, name) - getattr(two, name).flip(2, 3)).abs().amax(1)
        assert (difference < 0.02).float().mean() > 0.98, name


def test_backends_draw_the_same(body, seated, nod):
    one, two = (MeshControls(body, backend)(nod(0.0, 0.2, 0.0), seated, size=64)[1:] for backend in ("numba", "torch"))
    for name in NAMES:
        difference = (getattr(one, name) - getattr(two, name)).abs().amax(1)
        assert (difference < 1e-3).float().mean() > 0.999, name


def test_a_turned_head_moves_and_the_far_background_stays(stage, seated, nod):
    sequence = stage(nod(0.0, 0.3, 0.0), seated, size=96)
    controls = sequence[1:]
    head = controls.parts[0, 0].bool()
    inner = head.clone()
    inner[:12] = False
    assert controls.moved[0, 0][inner].mean() > 0.9
    assert (controls.moved[0, 0, -20:, :10] == 0).all()
    assert torch.allclose(controls.warped[0, :, -20:, :10], sequence.photo[:, -20:, :10], atol=1e-4)


def test_an_oblong_portrait_is_a_user_error(stage, seated, still):
    oblong = replace(seated, portrait=Portrait(seated.portrait.image[:, :50]))
    with pytest.raises(UserError, match="crop it first"):
        stage(still, oblong, size=64)


def test_the_whole_body_behind_the_camera_is_an_empty_frame(stage, seated, still):
    away = replace(still, translation=still.translation + torch.tensor([0.0, 0.0, 10.0]))
    controls = stage(away, seated, size=64)[:1]
    assert (controls.parts == 0).all() and controls.warped.isfinite().all()
