"""Controls smaller than the portrait: means of one drawing, which all sizes share."""

from dataclasses import replace

import pytest
import torch

from render.controls import RECENT, MeshControls, ShrunkControls, resize_subject
from render.guess import GUESSED
from render.shrink import shrunk
from vlogger.framing import detail
from vlogger.pixels import shrink
from vlogger.stages import ControlSequence, without_maps
from vlogger.types import Controls, Motion, Portrait

NAMES = ("surface", "parts", "warped", "visible", "moved")


@pytest.fixture
def stage(body):
    return MeshControls(body)


@pytest.fixture(scope="module")
def large(seated):
    """The person in a picture of 256 pixels."""
    return resize_subject(seated, 256)


def chequered(frames: int = 2, size: int = 12) -> Controls:
    """Controls with known, guessed and unknown pixels everywhere."""
    draw = torch.Generator().manual_seed(5)
    visible = torch.randint(0, 3, (frames, 1, size, size), generator=draw) / 2
    warped = torch.rand(frames, 3, size, size, generator=draw) * (visible > 0)
    maps = (torch.zeros(frames, 3, size, size), torch.zeros(frames, 24, size, size))
    return Controls(*maps, warped, visible, torch.rand(frames, 1, size, size, generator=draw), fps=25.0)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_a_pixel_is_what_most_of_its_pixels_are(factor):
    """The slow twin, pixel by pixel."""
    controls = chequered()
    warped, visible, moved = shrunk(controls, factor)
    side = 12 // factor
    assert warped.shape == (2, 3, side, side) and visible.shape == moved.shape == (2, 1, side, side)
    for t in range(2):
        for y in range(side):
            for x in range(side):
                part = (t, slice(None), slice(factor * y, factor * (y + 1)), slice(factor * x, factor * (x + 1)))
                told, colour = controls.visible[part].flatten(), controls.warped[part].flatten(1)
                coloured, known = (told > 0).float().mean() > 0.5, (told == 1).float().mean() > 0.5
                assert visible[t, 0, y, x] == (1 if known else GUESSED if coloured else 0)
                mean = colour[:, told > 0].mean(1) if coloured else torch.zeros(3)
                assert torch.allclose(warped[t, :, y, x], mean, atol=1e-6)
                outermost = min(y, x) == 0 or max(y, x) == side - 1
                expected = torch.tensor(0.0) if outermost else controls.moved[part].mean()
                assert torch.allclose(moved[t, 0, y, x], expected, atol=1e-6)


def test_no_motion_is_the_photo(stage, large, still):
    sequence = stage(still, large, size=64)
    assert isinstance(sequence, ShrunkControls) and isinstance(sequence, ControlSequence) and sequence.size == 64
    assert torch.allclose(sequence.photo, shrink(large.portrait.image / 255, 4))
    for controls in (sequence[:], sequence.reference):
        assert torch.allclose(controls.warped, sequence.photo.expand_as(controls.warped), atol=1e-3)
        assert (controls.visible == 1).all() and (controls.moved == 0).all()


def test_they_are_the_means_of_the_drawing_and_have_maps_of_their_own(stage, seated, large, nod):
    motion = nod(0.0, 0.2, 0.0)
    sequence = stage(motion, large, size=64)
    controls, fine = sequence[:], stage(motion, large, size=256)[:]
    for name, expected in zip(NAMES[2:], shrunk(fine, 4)):
        assert torch.equal(getattr(controls, name), expected), name
    own = stage(motion, resize_subject(seated, 64), size=64)[:]
    for name in NAMES[:2]:
        difference = (getattr(controls, name) - getattr(own, name)).abs().amax(1)
        assert (difference < 1e-3).float().mean() > 0.999, name


def test_windows_equal_the_whole_whatever_was_asked_before(stage, body, large, nod):
    motion = nod(0.0, 0.2, 0.0)
    sequence = stage(motion, large, size=64)
    second, bare = sequence[1:], without_maps(sequence)[:]
    whole = MeshControls(body)(motion, large, size=64)[:]
    assert all(torch.equal(getattr(whole, name)[1:], getattr(second, name)) for name in NAMES)
    assert all(torch.equal(getattr(whole, name), getattr(bare, name)) for name in NAMES[2:])
    assert (bare.parts == 0).all() and (whole.parts == 1).any()


def test_all_sizes_share_one_drawing(stage, body, large, nod):
    motion = nod(0.0, 0.2, 0.0)
    small, middle, whole = (stage(motion, large, size=size) for size in (64, 128, 256))
    assert small.drawing is middle.drawing is whole
    small[:]
    assert list(whole.recent) == [0, 1]
    kept, bare = whole.recent[1], without_maps(whole)[:]
    assert whole.recent[1] is kept, "it is not drawn again"
    fresh = MeshControls(body)(motion, large, size=256)[:]
    assert all(torch.equal(getattr(bare, name), getattr(fresh, name)) for name in NAMES[2:])
    assert stage(replace(motion), large, size=64).drawing is not whole, "another motion is another drawing"


def test_few_frames_are_remembered(stage, seated, still):
    count = RECENT + 9
    motion = Motion(
        *(
            value[:1].expand(count, *value.shape[1:])
            for value in (still.rotations, still.expression, still.translation)
        ),
        25.0,
    )
    sequence = stage(motion, resize_subject(seated, 32), size=32)
    sequence[:]
    assert list(sequence.recent) == list(range(9, count))


def test_the_drawing_is_not_larger_than_it_helps(stage, large, still):
    huge = replace(large, portrait=Portrait(torch.zeros(3, 1100, 1100, dtype=torch.uint8)))
    assert stage(still, huge, size=128).drawing.size == 512
    assert stage(still, large, size=96).drawing.size == 192
    assert stage(still, large, size=300).size == 300
    assert [detail(size) for size in (64, 128, 256, 512)] == [256, 512, 512, 1024]


def test_what_is_narrower_than_a_pixel_does_not_flicker(body, seated, still):
    """A head that sinks by a pixel in eight steps: what is drawn inside its opened mouth hardly changes."""
    expression = still.expression[:1].clone()
    for index, name in enumerate(body.expression_names):
        expression[0, index] = {"jawOpen": 0.5}.get(name, 0.0)
    pixel = 1.3 / (180 * 48 / 96)  # metres at 48 pixels
    steps = torch.arange(9)[:, None] / 8 * torch.tensor([0.0, -pixel, 0.0])
    motion = Motion(
        still.rotations[:1].expand(9, -1, -1, -1), expression.expand(9, -1), still.translation[:1] + steps, 25.0
    )

    skin = torch.tensor([200, 150, 130], dtype=torch.uint8)[:, None, None]

    def change(size):
        portrait = Portrait(skin.expand(3, size, size).contiguous())
        controls = MeshControls(body)(motion, replace(resize_subject(seated, size), portrait=portrait), size=48)[:]
        drawn = (skin / 255 - controls.warped).sum((1, 2, 3))
        assert (drawn > 1).all()
        return float(drawn.std() / drawn.mean())

    assert change(384) < 0.5 * change(48)
