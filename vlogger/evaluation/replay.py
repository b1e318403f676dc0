"""Reenactment: draw, paint and sharpen the true motion from one reference picture, and compare with the true frames."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from render.matte import with_matte
from video_diffusion.network import filled
from vlogger.curation.pairs import Footage
from vlogger.curation.stills import unmatted
from vlogger.evaluation import perceptual
from vlogger.evaluation.bench import Bench
from vlogger.evaluation.films import some
from vlogger.evaluation.measure import LOOKED_AT, Numbers
from vlogger.evaluation.reenactment import regions_of, scores
from vlogger.framing import FINEST, Region, crop, region_of
from vlogger.pipeline import SMALL, LastWindow, chance, generated_side
from vlogger.stages import ControlSequence
from vlogger.types import Controls, Motion, Subject

SEED = 0
DISTANT = ("full", "face", "mouth")  # regions of which networks tell the distance
MARGIN, CLOSE = 1.2, 128  # of the square around a region, and its size when networks look at it, pixels


@dataclass(frozen=True)
class Replayed:
    """Pictures (t, 3, s, s) in [0, 1] of the generated square, its body parts (t, k, s, s), and where it lies inside
    the picture that there is: 1 in `inside` (1, 1, s, s). Beyond that nobody knows the truth."""

    true: Tensor
    made: Tensor
    warped: Tensor
    copied: Tensor
    alone: Tensor
    mesh: Tensor
    parts: Tensor
    inside: Tensor


def replayed(bench: Bench, footage: Footage, reference: int, frames: slice) -> Replayed:
    """The frames' motion drives the reference picture. As in the pipeline, what does not move stays the photo's."""
    subject = with_matte(footage.subject(reference), bench.vlogger.body)
    region = region_of(subject, bench.vlogger.body)
    side = max(SMALL, min(generated_side(region), bench.size))
    motion = footage.track.motion[frames]
    clips, large = painted(bench, subject, region, motion, side)
    bare = bench.vlogger.render(motion, crop(unmatted(subject), region, FINEST), size=side)
    made, warped, alone, mesh, parts, start = [], [], [], [], [], 0
    for clip in clips:
        frames_of_clip = slice(start, start + len(clip))
        controls = large[frames_of_clip]
        start += len(clip)
        made.append(laid(large.photo, clip.frames.float() / 255, controls.moved))
        warped.append(laid(large.photo, smoothly_filled(controls), controls.moved))
        alone.append(warp_alone(controls))
        mesh.append(mesh_alone(bare[frames_of_clip], large.photo))
        parts.append(controls.parts)
    true = [crop(footage.subject(t), region, side).portrait.image for t in range(len(footage.frames))[frames]]
    copied = large.photo[None].expand(len(true), -1, -1, -1)
    known = inside_of(region, side, footage.frames.shape[-2], footage.frames.shape[-1])
    pictures = (torch.stack(true).float() / 255, torch.cat(made), torch.cat(warped), copied)
    return Replayed(*pictures, torch.cat(alone), torch.cat(mesh), torch.cat(parts), known)


def inside_of(region: Region, side: int, height: int, width: int) -> Tensor:
    """(1, 1, side, side): 1 where the pixel's centre lies in a picture of height x width."""
    steps = (torch.arange(side) + 0.5) * region.side / side
    rows = (region.top + steps >= 0) & (region.top + steps < height)
    columns = (region.left + steps >= 0) & (region.left + steps < width)
    return (rows[:, None] & columns).float()[None, None]


def painted(bench: Bench, subject: Subject, region: Region, motion: Motion, side: int):
    """The clips and the controls of their size."""
    vlogger, square = bench.vlogger, crop(subject, region, FINEST)
    large: ControlSequence = LastWindow(vlogger.render(motion, square, size=SMALL))
    clips = vlogger.video(large, generator=chance(SEED, 1))
    if side > SMALL:
        large = LastWindow(vlogger.render(motion, square, size=side))
        clips = vlogger.superres(clips, large, generator=chance(SEED, 2))
    return clips, large


def laid(photo: Tensor, pictures: Tensor, moved: Tensor) -> Tensor:
    """Pictures (t, 3, s, s) where the body moved, the photo (3, s, s) elsewhere."""
    return photo + moved * (pictures - photo)


def smoothly_filled(controls: Controls) -> Tensor:
    """The warp with its holes closed from what is known around them (push-pull)."""
    return filled(controls.warped, (controls.visible > 0).float())


def warp_alone(controls: Controls) -> Tensor:
    """The photo's own pixels where body, hair and room carry them, black where it does not show what is there."""
    return controls.warped * (controls.visible == 1)


def mesh_alone(controls: Controls, photo: Tensor) -> Tensor:
    """VLOGGER's C^w (3.2), over the photo: what the mesh carries, black where the photo does not show its skin; hair
    and room, of which the mesh knows nothing, stay where the photo (3, h, w) has them."""
    return laid(photo, warp_alone(controls), controls.parts.amax(1, keepdim=True))


def compared(bench: Bench, result: Replayed) -> Numbers:
    """Every region of ours and of the baselines: "made.face.psnr" and so on."""
    regions = regions_of(result.parts)
    masks = {name: mask * result.inside for name, mask in regions.items()}
    numbers: Numbers = {}
    for who in ("made", "warped", "copied", "alone", "mesh"):
        pictures = getattr(result, who)
        known = result.true + (pictures - result.true) * result.inside  # beyond the picture nothing is wrong
        for region, values in scores(pictures, result.true, masks).items():
            if region in DISTANT:
                shown = (looked_at(rows, regions[region]) for rows in (known, result.true))
                values = values | distances(bench, *shown)
            numbers |= {f"{who}.{region}.{name}": value for name, value in values.items()}
    return numbers


def looked_at(pictures: Tensor, mask: Tensor) -> Tensor:
    """A few of the pictures (t, 3, s, s): the whole square where all of it counts, else the square around the region
    (t, 1, s, s) in all frames, CLOSE pixels wide."""
    top, left, bottom, right = square_around(mask.amax(0)[0])
    chosen = some(pictures, LOOKED_AT)[..., top:bottom, left:right]
    whole = (bottom - top, right - left) == tuple(pictures.shape[-2:])
    return chosen if whole else F.interpolate(chosen, (CLOSE, CLOSE), mode="bilinear", antialias=True)


def square_around(mask: Tensor) -> tuple[int, int, int, int]:
    """Top, left, bottom, right of the square around what is not 0 in (h, w), MARGIN times as wide, in the picture."""
    limits = torch.tensor(mask.shape)
    places = torch.nonzero(mask)
    low, high = places.amin(0), places.amax(0) + 1
    side = (MARGIN * (high - low).max()).ceil().clamp(max=int(limits.min())).long()
    start = ((low + high - side) // 2).clamp(min=0).minimum(limits - side)
    (top, left), (bottom, right) = start.tolist(), (start + side).tolist()
    return top, left, bottom, right


@torch.inference_mode()
def distances(bench: Bench, made: Tensor, true: Tensor) -> Numbers:
    """By the networks that are there."""
    judges, found = bench.judges, {}
    if judges.mobilenet is not None:
        found["mobilenet_distance"] = float(perceptual.mobilenet_distance(judges.mobilenet, made, true).mean())
    if judges.lpips is not None:
        found["lpips"] = float(judges.lpips(made, true).mean())
    return found
