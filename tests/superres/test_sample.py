from dataclasses import replace

import pytest
import torch
from diffusers import DDIMScheduler

from superres.blend import blend, enlarge, has_colour, unsure
from superres.network import Sharpener
from superres.sample import Bicubic, DiffusionUpscale
from vlogger.errors import UserError
from vlogger.pixels import shrink, to_uint8
from vlogger.stages import Upscale
from vlogger.types import Controls, Video, seeded

SCHEDULER = {"prediction_type": "sample", "clip_sample": False, "timestep_spacing": "trailing"}


class Still:
    """A control sequence that is held in memory."""

    fps = 25.0

    def __init__(self, count: int, size: int):
        shapes = {"surface": 3, "parts": 12, "warped": 3, "visible": 1, "moved": 1}
        generator = seeded(5)
        fields = {name: torch.rand(count, c, size, size, generator=generator) for name, c in shapes.items()}
        self.all, self.size, self.photo = Controls(**fields, fps=25.0), size, torch.zeros(3, size, size)
        self.reference = self.all[:1]

    def __len__(self) -> int:
        return len(self.all)

    def __getitem__(self, frames: slice) -> Controls:
        return self.all[frames]


def network(temporal: bool = False, zero: bool = False, exactness: bool = False) -> Sharpener:
    torch.manual_seed(0)
    made = Sharpener((16, 16), (1, 1), 16, temporal=temporal, exactness=exactness).eval().requires_grad_(False)
    if not zero:
        torch.nn.init.normal_(made.leave.weight, std=0.1)
    return made


def stage(**settings) -> DiffusionUpscale:
    return DiffusionUpscale(**{"network": network(), "scheduler": DDIMScheduler(**SCHEDULER), **settings})


def clips(*lengths: int, side: int = 16) -> list[Video]:
    frames = torch.randint(0, 256, (sum(lengths), 3, side, side), generator=seeded(1), dtype=torch.uint8)
    return [Video(part, 25.0) for part in frames.split(list(lengths))]


def sharpened(sharpen: Upscale, video: list[Video], size: int = 32, seed: int = 0) -> torch.Tensor:
    controls = Still(sum(map(len, video)), size)
    return torch.cat([clip.frames for clip in sharpen(video, controls, generator=seeded(seed))])


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("sharpen", [stage(), stage(steps=2), Bicubic()])
def test_clips_keep_their_lengths_and_get_the_size_of_the_controls(sharpen, size):
    large = list(sharpen(clips(3, 1), Still(4, size), generator=seeded(0)))
    assert [clip.frames.shape for clip in large] == [(3, 3, size, size), (1, 3, size, size)]


@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
def test_same_seed_same_bytes_other_seed_other_bytes(shared):
    sharpen = stage(steps=2, shared=shared)
    first, again, other = (sharpened(sharpen, clips(2), seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("shared", [0.0, 1.0])
def test_the_cutting_into_clips_does_not_change_the_bytes(shared):
    whole = sharpened(stage(shared=shared), clips(5))
    assert torch.equal(whole, sharpened(stage(shared=shared), clips(2, 3)))


def in_time(**settings) -> DiffusionUpscale:
    """The stage with a network whose temporal convolutions do much."""
    temporal = network(temporal=True)
    for name, parameter in temporal.named_parameters():
        if "temporal" in name or "conv2" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    return stage(network=temporal, shared=0.5, **settings)


def test_a_temporal_network_sees_its_group_and_what_came_before_but_nothing_later():
    sharpen, video = in_time(group=4, context=2), clips(12)
    before, seen = sharpened(sharpen, video), torch.zeros(12, 12, dtype=torch.bool)
    for told in range(12):
        frames = video[0].frames.clone()
        frames[told] = 255 - frames[told]
        changed = sharpened(sharpen, [Video(frames, 25.0)]) != before
        seen[told] = changed.flatten(1).any(1)
    number = torch.arange(12)
    near = (number[:, None] - number).abs() <= 1  # this network has a single temporal convolution, of three frames
    assert torch.equal(seen, near & (number[:, None] // 4 <= number // 4))


@pytest.mark.parametrize("lengths", [(4, 4, 3), (1, 6, 4), (5, 6), (3, 1, 1, 1, 5)])
def test_groups_do_not_depend_on_the_cutting_nor_on_where_the_stage_goes_on(lengths):
    sharpen, controls, video = in_time(group=4, context=2), Still(11, 32), clips(*lengths)
    small = joined(video).frames
    whole = sharpened(sharpen, clips(11))
    assert torch.equal(whole, torch.cat([clip.frames for clip in sharpen(video, controls, generator=seeded(0))]))
    for count in range(1, len(lengths)):
        start = sum(lengths[:count])
        later = sharpen.going_on(start, small[max(0, start - 9) : start])
        rest = torch.cat([clip.frames for clip in later(video[count:], controls, generator=seeded(0))])
        assert torch.equal(rest, whole[start:])


def test_clips_that_end_with_groups_keep_their_lengths():
    made = in_time(group=4, context=2)(clips(8, 4, 4, 1), Still(17, 32), generator=seeded(0))
    assert [len(clip) for clip in made] == [8, 4, 4, 1]


def test_new_weights_give_the_blend():
    video, controls = clips(3), Still(3, 64).all
    told = {"small": video[0].frames / 255, "warped": controls.warped, "visible": has_colour(controls.visible)}
    expected = to_uint8(255 * blend(**{name: value[None] for name, value in told.items()})[0])
    for temporal in (False, True):
        made = sharpened(stage(network=network(temporal, zero=True)), video, size=64)
        assert (made.int() - expected.int()).abs().max() <= 1


@pytest.mark.parametrize("shared", [0.0, 1.0])
def test_a_stage_that_goes_on_makes_the_same_bytes(shared):
    sharpen, video, controls = stage(shared=shared), clips(3, 2, 2), Still(7, 32)
    whole = torch.cat([clip.frames for clip in sharpen(video, controls, generator=seeded(0))])
    rest = sharpen.going_on(3, joined(video[:1]).frames)(video[1:], controls, generator=seeded(0))
    assert torch.equal(torch.cat([clip.frames for clip in rest]), whole[3:])


def test_half_precision_is_nearly_the_same():
    exact, half = (sharpened(stage(precision=kind), clips(2)).int() for kind in ("float32", "bfloat16"))
    assert 0 < (exact - half).abs().float().mean() < 2


def test_an_odd_size_is_refused():
    with pytest.raises(UserError, match="multiple"):
        sharpened(stage(), clips(1), size=40)


def shown(drawn: Controls, *holes: tuple[int, int, int]) -> Controls:
    """Controls that show the photo everywhere but in squares (top, left, side)."""
    visible = torch.ones_like(drawn.visible)
    for top, left, side in holes:
        visible[..., top : top + side, left : left + side] = 0
    return replace(drawn, visible=visible)


def of_frames(sharpen: DiffusionUpscale, frames: torch.Tensor, controls: Controls) -> torch.Tensor:
    """Frame by frame, as the stage does it."""
    noise = torch.randn(1, 3, controls.warped.shape[-1], controls.warped.shape[-1], generator=seeded(0))
    told = zip(frames.split(1), controls.warped.split(1), controls.visible.split(1), strict=True)
    return torch.cat([sharpen.sharpen(*frame, noise) for frame in told])


def test_what_the_photo_shows_is_the_warped_photo():
    frames, drawn = clips(2)[0].frames, Still(2, 64)[:]
    seen = of_frames(stage(reach=2), frames, shown(drawn))
    assert torch.equal(seen, to_uint8(255 * drawn.warped))
    hidden = replace(drawn, visible=torch.zeros_like(drawn.visible))
    assert torch.equal(of_frames(stage(reach=2), frames, hidden), of_frames(stage(), frames, hidden))


@pytest.mark.parametrize("place", [(80, 96, 10), (0, 0, 4), (250, 120, 6)])
@pytest.mark.parametrize("small", [64, 128])
def test_far_from_a_hole_the_warped_photo_byte_for_byte_and_near_it_something_else(place, small):
    frames, drawn = clips(2, side=small)[0].frames, shown(Still(2, 256)[:], place)
    made, warped = of_frames(stage(reach=3), frames, drawn), to_uint8(255 * drawn.warped)
    top, left, side = place
    far, wide = torch.ones(256, 256, dtype=torch.bool), 7 * 256 // small + 4
    far[max(0, top - wide) : top + side + wide, max(0, left - wide) : left + side + wide] = False
    assert torch.equal(made[..., far], warped[..., far])
    assert not torch.equal(made[..., top, left], warped[..., top, left])


def test_where_the_small_video_shows_something_else_the_network_is_heard():
    drawn = shown(Still(1, 256)[:])
    frames = to_uint8(255 * shrink(drawn.warped, 2))
    warped, trusting = to_uint8(255 * drawn.warped), stage(reach=3, tolerance=3.0)
    assert torch.equal(of_frames(trusting, frames, drawn), warped)
    other = frames.clone()
    other[..., 60:70, 60:70] = 255 - other[..., 60:70, 60:70] // 2
    near, far = torch.zeros(256, 256, dtype=torch.bool), torch.ones(256, 256, dtype=torch.bool)
    near[124:136, 124:136], far[86:174, 86:174] = True, False
    made, whole = (of_frames(one, other, drawn) for one in (trusting, stage()))
    assert torch.equal(made[..., far], warped[..., far])
    assert (made.int() - whole.int())[..., near].abs().float().mean() < 2
    assert torch.equal(of_frames(stage(reach=3), other, drawn), warped)


def test_a_calm_stage_differs_in_guesses_only():
    drawn, frames = shown(Still(1, 256)[:], (128, 128, 20)), clips(1, side=128)[0].frames
    bare, calm = (of_frames(stage(reach=3, calm=calm), frames, drawn) for calm in (False, True))
    assert torch.equal(bare, calm)  # holes are no guesses
    mouth = replace(drawn, visible=drawn.visible.clamp(min=0.5))
    bare, calm = (of_frames(stage(reach=3, calm=calm), frames, mouth) for calm in (False, True))
    changed = (bare != calm).any(1)[0]
    assert changed[118:138, 118:138].float().mean() > 0.5
    far = torch.ones(256, 256, dtype=torch.bool)
    far[70:186, 70:186] = False
    assert not changed[far].any()


def test_beside_a_doubt_guesses_are_not_calmed():
    drawn = shown(Still(1, 256)[:], (128, 128, 10))
    drawn = replace(drawn, visible=drawn.visible.clamp(min=0.5))
    frames = to_uint8(255 * shrink(drawn.warped, 2))
    other = frames.clone()
    other[..., 50:78, 50:78] = 255 - other[..., 50:78, 50:78] // 2
    bare, calm = (of_frames(stage(reach=3, tolerance=3.0, calm=calm), other, drawn) for calm in (False, True))
    assert torch.equal(bare, calm)
    agreed = frames.clone()
    agreed[..., 62:66, 62:66] = 255 - agreed[..., 62:66, 62:66]  # specks in the guess alone
    bare, calm = (of_frames(stage(reach=3, tolerance=3.0, calm=calm), agreed, drawn) for calm in (False, True))
    assert not torch.equal(bare, calm)


def test_an_exact_video_is_believed_everywhere():
    drawn, frames = Still(1, 256)[:], clips(1, side=128)[0].frames
    drawn = replace(drawn, visible=torch.ones_like(drawn.visible))
    exactly = network(exactness=True)
    shy, exact = (of_frames(stage(network=exactly, reach=3, exact=exact), frames, drawn) for exact in (False, True))
    assert torch.equal(shy, to_uint8(255 * drawn.warped))
    small = frames.float()
    assert (shrink(exact.float(), 2) - small).abs().mean() < 0.3 * (shrink(shy.float(), 2) - small).abs().mean()
    settings = {"reach": None, "tolerance": 3.0, "calm": True}
    assert torch.equal(exact, of_frames(stage(network=exactly, exact=True, **settings), frames, drawn))


def test_weights_that_know_nothing_of_exact_videos_say_so():
    with pytest.raises(UserError, match="exactness"):
        stage(exact=True)


@pytest.mark.parametrize("tolerance", [0, -1, "any"])
def test_a_tolerance_is_grey_levels(tolerance):
    with pytest.raises(UserError, match="grey levels"):
        stage(tolerance=tolerance)


def test_boxes_agree_with_the_whole_picture():
    frames, drawn = clips(1, side=128)[0].frames, shown(Still(1, 256)[:], (60, 60, 8), (200, 190, 8))
    boxed, noise = of_frames(stage(reach=3), frames, drawn), torch.randn(1, 3, 256, 256, generator=seeded(0))
    free = enlarge(unsure(drawn.visible, 3, 2), 2, "linear")
    whole = stage().picture(frames, drawn.warped, drawn.visible, noise)
    whole = to_uint8(255 * drawn.warped.lerp(whole, free))
    changed = (free > 0).expand_as(whole)
    error = (boxed.int() - whole.int())[changed].abs().float()
    assert error.mean() < 1
    assert error.max() < 8


def test_with_boxes_the_cutting_into_clips_does_not_change_the_bytes():
    class Holes(Still):
        def __init__(self, count: int, size: int):
            super().__init__(count, size)
            frames = (shown(self.all[i : i + 1], (40 * i, 30 * i, 9)).visible for i in range(count))
            self.all = replace(self.all, visible=torch.cat([*frames]))

    sharpen, video, controls = stage(reach=2, shared=0.5), clips(2, 3, side=128), Holes(5, 256)
    whole = torch.cat([clip.frames for clip in sharpen([joined(video)], controls, generator=seeded(0))])
    pieces = torch.cat([clip.frames for clip in sharpen(video, controls, generator=seeded(0))])
    rest = torch.cat(
        [clip.frames for clip in sharpen.going_on(2, video[0].frames)(video[1:], controls, generator=seeded(0))]
    )
    assert torch.equal(whole, pieces)
    assert torch.equal(whole[2:], rest)


def joined(video: list[Video]) -> Video:
    return Video(torch.cat([clip.frames for clip in video]), video[0].fps)


@pytest.mark.parametrize("reach", [1.5, -1, "far"])
def test_a_reach_is_whole_pixels(reach):
    with pytest.raises(UserError, match="whole number"):
        stage(reach=reach)


def test_less_detail_lies_on_the_way_to_bicubic():
    video = clips(2)
    soft, half, full = (sharpened(stage(detail=share), video).int() for share in (0.0, 0.5, 1.0))
    assert torch.equal(full, sharpened(stage(), video).int())
    assert (soft - sharpened(Bicubic(), video).int()).abs().max() <= 1
    assert (half - (soft + full) / 2).abs().max() <= 1.5
    assert not torch.equal(soft, full)


@pytest.mark.parametrize("detail", [-0.1, 1.5, "soft"])
def test_detail_is_a_share(detail):
    with pytest.raises(UserError, match="a share from 0"):
        stage(detail=detail)
