import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from render.controls import MeshControls
from superres.sample import Bicubic, DiffusionUpscale
from vlogger.body.smplx import load_body
from vlogger.framing import Region, pose_subject, project, region_of
from vlogger.from_file import FileUpscale
from vlogger.pipeline import LastWindow, Vlogger, at_size, chance, generated_side, in_picture, output_shape
from vlogger.progress import Progress
from vlogger.types import Audio, Portrait, Video

sys.path.insert(0, str(Path(__file__).parent / "tiny"))
import tiny_stages as tiny


@pytest.fixture(scope="module")
def body():
    return load_body()


def picture(height=160, width=121):
    return Portrait(torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=chance(0, 0)))


def speech(seconds=0.5):
    return Audio(torch.randn(round(8000 * seconds), generator=chance(1, 0)).clamp(-1, 1) * 0.3, 8000)


def flat_pipeline(body):
    return Vlogger(
        tiny.Standing(body, 2.0), tiny.LoudJaw(body, 24.0), tiny.Flat(), tiny.PaintWarped(), tiny.Enlarge(), body
    )


def frames_of(vlogger, portrait, audio, size=None, seed=0):
    return torch.cat([clip.frames for clip in vlogger(portrait, audio, size=size, seed=seed)])


@pytest.mark.parametrize(
    "height, width, size, expected",
    [
        (512, 512, 256, (256, 256)),
        (600, 400, 128, (192, 128)),
        (333, 1000, 256, (256, 768)),
        (333, 1000, None, (332, 1000)),
        (301, 301, None, (300, 300)),
        (1, 1, None, (2, 2)),
        (100, 7000, 512, (512, 35840)),
    ],
)
def test_the_output_has_the_aspect_of_the_picture_and_even_sides(height, width, size, expected):
    assert output_shape(height, width, size) == expected


def test_without_a_size_the_pixels_are_the_portraits(body):
    portrait = picture()
    subject = tiny.Standing(body)(portrait)
    assert torch.equal(at_size(subject, None).portrait.image, portrait.image[:, :160, :120])
    assert torch.equal(at_size(subject, None).intrinsics, subject.intrinsics)


def test_at_another_size_the_body_stays_on_the_person(body):
    subject = tiny.Standing(body)(picture(300, 200))
    small = at_size(subject, 128)
    assert small.portrait.image.shape == (3, 192, 128)
    before, after = (project(pose_subject(s, body), s.intrinsics)[:, :2] for s in (subject, small))
    assert torch.allclose(before * torch.tensor([128 / 200, 192 / 300]), after, atol=1e-2)


@pytest.mark.parametrize("side, expected", [(40, 128), (128, 128), (128.5, 256), (400, 512), (3000, 512)])
def test_the_generated_square_is_not_coarser_than_the_picture(side, expected):
    assert generated_side(Region(0.0, 0.0, side)) == expected


def test_a_whole_walk_changes_nothing_outside_the_moving_part(body):
    portrait = picture()
    vlogger = flat_pipeline(body)
    frames = frames_of(vlogger, portrait, speech())
    assert frames.shape == (12, 3, 160, 120)
    region = region_of(at_size(vlogger.subject(portrait), None), body)
    y, x = torch.meshgrid(torch.arange(160) + 0.5, torch.arange(120) + 0.5, indexing="ij")
    inside = torch.maximum((x - region.left - region.side / 2).abs(), (y - region.top - region.side / 2).abs())
    far, near = inside > region.side * (0.25 + 1 / 128), inside < region.side * 0.2
    source = portrait.image[:, :160, :120]
    assert far.any() and (frames[..., far] == source[:, far]).all()
    assert (frames[..., near] != source[:, near]).any()


def test_the_sharpener_works_only_where_the_painter_is_too_coarse(body):
    called = []

    def sharpen(video, controls, *, generator):
        called.append(controls.size)
        yield from tiny.Enlarge()(video, controls, generator=generator)

    def walk(size):
        stages = flat_pipeline(body)
        vlogger = Vlogger(stages.subject, stages.motion, stages.render, stages.video, sharpen, body)
        return frames_of(vlogger, picture(128, 128), speech(0.2), size=size)

    assert walk(128).shape[-2:] == (128, 128) and called == []
    assert walk(512).shape[-2:] == (512, 512) and len(called) == 1 and called[0] > 128


@pytest.mark.parametrize("maps", [True, False])
def test_only_a_sharpener_that_reads_maps_gets_them(body, maps):
    told = []

    def sharpen(video, controls, *, generator):
        told.append(controls[0:1])
        yield from tiny.Enlarge()(video, controls, generator=generator)

    stages = flat_pipeline(body)
    vlogger = Vlogger(stages.subject, stages.motion, MeshControls(body), stages.video, sharpen, body, maps)
    watched = replace(vlogger, render=Progress().draw(vlogger.render))
    frames_of(watched, picture(128, 128), speech(0.1), size=256)
    assert told[0].warped.any() and told[0].parts.any() == told[0].surface.any() == maps


def test_same_seed_same_frames_and_another_seed_others(body):
    vlogger, portrait, audio = flat_pipeline(body), picture(), speech(0.3)
    first = frames_of(vlogger, portrait, audio, seed=3)
    assert torch.equal(first, frames_of(vlogger, portrait, audio, seed=3))
    assert not torch.equal(first, frames_of(vlogger, portrait, audio, seed=4))


def test_stages_and_seeds_never_share_their_chance():
    draws = {tuple(torch.randn(4, generator=chance(seed, stage)).tolist()) for seed in range(5) for stage in range(3)}
    assert len(draws) == 15


def test_nothing_is_painted_before_it_is_asked_for(body):
    painted = []

    def paint(controls, *, generator):
        for clip in tiny.PaintWarped(2)(controls, generator=generator):
            painted.append(len(clip))
            yield clip

    stages = flat_pipeline(body)
    vlogger = Vlogger(stages.subject, stages.motion, stages.render, paint, stages.superres, body)
    clips = vlogger(picture(), speech(1.0), size=None, seed=0)
    assert painted == []
    next(clips)
    assert painted == [2]


def test_the_last_window_is_drawn_once():
    flat = tiny.FlatControls(10, 24.0, torch.zeros(3, 8, 8))
    flat.asked.clear()
    remembered = LastWindow(flat)
    first = remembered[2:5]
    assert remembered[2:5] is first and len(remembered[5:20]) == 5
    assert flat.asked == [(2, 5), (5, 10)]


def test_large_pictures_are_put_together_in_small_portions(monkeypatch):
    monkeypatch.setattr("vlogger.pipeline.CLIP_BYTES", 3 * 20 * 30 * 2)
    portrait = Portrait(torch.zeros(3, 20, 30, dtype=torch.uint8))
    controls = tiny.FlatControls(7, 24.0, torch.ones(3, 8, 8))
    clip = Video(torch.full((7, 3, 8, 8), 255, dtype=torch.uint8), 24.0)
    parts = list(in_picture(iter([clip]), controls, portrait, Region(2.0, 2.0, 16.0)))
    assert [len(part) for part in parts] == [2, 2, 2, 1]
    assert all(part.frames[:, :, 10, 10].eq(255).all() and part.frames[:, :, 0, 0].eq(0).all() for part in parts)


def test_the_sharpeners_that_come_with_the_package_read_no_maps():
    """What `vlogger.build` asks them; a sharpener that says nothing gets maps."""
    stages = (DiffusionUpscale, Bicubic, FileUpscale, tiny.Enlarge)
    assert [getattr(stage, "reads_maps", True) for stage in stages] == [False, False, False, True]
