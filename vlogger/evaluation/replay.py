"""Reenactment: draw, paint and sharpen the true motion from one reference picture, and compare with the true frames."""

from dataclasses import dataclass

import torch
from torch import Tensor

from render.matte import with_matte
from video_diffusion.network import filled
from vlogger.curation.pairs import Footage
from vlogger.evaluation import perceptual
from vlogger.evaluation.bench import Bench
from vlogger.evaluation.films import some
from vlogger.evaluation.measure import LOOKED_AT, Numbers
from vlogger.evaluation.reenactment import regions_of, scores
from vlogger.framing import Region, crop, region_of
from vlogger.pipeline import SMALL, LastWindow, chance, generated_side
from vlogger.stages import ControlSequence
from vlogger.types import Controls, Motion, Subject

SEED = 0


@dataclass(frozen=True)
class Replayed:
    """Pictures (t, 3, s, s) in [0, 1] of the generated square, its body parts (t, k, s, s), and where it lies inside
    the picture that there is: 1 in `inside` (1, 1, s, s). Beyond that nobody knows the truth."""

    true: Tensor
    made: Tensor
    warped: Tensor
    copied: Tensor
    alone: Tensor
    parts: Tensor
    inside: Tensor


def replayed(bench: Bench, footage: Footage, reference: int, frames: slice) -> Replayed:
    """The frames' motion drives the reference picture. As in the pipeline, what does not move stays the photo's."""
    subject = with_matte(footage.subject(reference), bench.vlogger.body)
    region = region_of(subject, bench.vlogger.body)
    side = max(SMALL, min(generated_side(region), bench.size))
    motion = footage.track.motion[frames]
    clips, large = painted(bench, subject, region, motion, side)
    made, warped, alone, parts, start = [], [], [], [], 0
    for clip in clips:
        controls = large[start : start + len(clip)]
        start += len(clip)
        made.append(laid(large.photo, clip.frames.float() / 255, controls.moved))
        warped.append(laid(large.photo, smoothly_filled(controls), controls.moved))
        alone.append(warp_alone(controls))
        parts.append(controls.parts)
    true = [crop(footage.subject(t), region, side).portrait.image for t in range(len(footage.frames))[frames]]
    copied = large.photo[None].expand(len(true), -1, -1, -1)
    known = inside_of(region, side, footage.frames.shape[-2], footage.frames.shape[-1])
    pictures = (torch.stack(true).float() / 255, torch.cat(made), torch.cat(warped), copied, torch.cat(alone))
    return Replayed(*pictures, torch.cat(parts), known)


def inside_of(region: Region, side: int, height: int, width: int) -> Tensor:
    """(1, 1, side, side): 1 where the pixel's centre lies in a picture of height x width."""
    steps = (torch.arange(side) + 0.5) * region.side / side
    rows = (region.top + steps >= 0) & (region.top + steps < height)
    columns = (region.left + steps >= 0) & (region.left + steps < width)
    return (rows[:, None] & columns).float()[None, None]


def painted(bench: Bench, subject: Subject, region: Region, motion: Motion, side: int):
    """The clips and the controls of their size."""
    vlogger = bench.vlogger
    large: ControlSequence = LastWindow(vlogger.render(motion, crop(subject, region, SMALL), size=SMALL))
    clips = vlogger.video(large, generator=chance(SEED, 1))
    if side > SMALL:
        large = LastWindow(vlogger.render(motion, crop(subject, region, side), size=side))
        clips = vlogger.superres(clips, large, generator=chance(SEED, 2))
    return clips, large


def laid(photo: Tensor, pictures: Tensor, moved: Tensor) -> Tensor:
    """Pictures (t, 3, s, s) where the body moved, the photo (3, s, s) elsewhere."""
    return photo + moved * (pictures - photo)


def smoothly_filled(controls: Controls) -> Tensor:
    """The warp with its holes closed from what is known around them (push-pull)."""
    return filled(controls.warped, (controls.visible > 0).float())


def warp_alone(controls: Controls) -> Tensor:
    """VLOGGER's C^w: the photo's own pixels where the body carries them, black where the photo does not show it."""
    return controls.warped * (controls.visible == 1)


def compared(bench: Bench, result: Replayed) -> Numbers:
    """Every region of ours and of the baselines: "made.face.psnr" and so on; network distances of the full square."""
    masks = {name: mask * result.inside for name, mask in regions_of(result.parts).items()}
    numbers: Numbers = {}
    for who in ("made", "warped", "copied", "alone"):
        pictures = getattr(result, who)
        for region, values in scores(pictures, result.true, masks).items():
            numbers |= {f"{who}.{region}.{name}": value for name, value in values.items()}
        numbers |= {f"{who}.{name}": value for name, value in distances(bench, pictures, result.true).items()}
    return numbers


@torch.inference_mode()
def distances(bench: Bench, made: Tensor, true: Tensor) -> Numbers:
    """Of a few frames, by the networks that are there."""
    first, second, judges, found = some(made, LOOKED_AT), some(true, LOOKED_AT), bench.judges, {}
    if judges.mobilenet is not None:
        found["mobilenet_distance"] = float(perceptual.mobilenet_distance(judges.mobilenet, first, second).mean())
    if judges.lpips is not None:
        found["lpips"] = float(judges.lpips(first, second).mean())
    return found
