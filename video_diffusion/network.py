"""The painter's network: base U-Net, control branch and reference encoder as one denoiser of clips (VLOGGER 3.2).

Pictures are in [-1, 1]. The clean frame is predicted as the warped photo, with its holes filled smoothly and retouched
without noise, plus the correction of the diffusion network; both are zero at the start: an untrained painter copies
the warp. (What is certain is learned apart from chance, as in CorrDiff, arXiv 2309.15214: a network that sees noise
cannot be exact to the grey level, and nearly all of the warp is.)
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor
from torch.nn import functional as F

from video_diffusion.control import ControlBranch, ReferenceEncoder, later
from video_diffusion.keep import mended, open_where
from video_diffusion.schedule import ddim
from video_diffusion.unet import FrameUNet, Retouch, unshuffled
from vlogger.body.parts import PARTS
from vlogger.checkpoint import Checkpoint, checkpoint_files
from vlogger.diffusion.sampling import Denoiser
from vlogger.errors import UserError

if TYPE_CHECKING:
    from video_diffusion.pretrained import PretrainedPainter

FRAME_CONTROLS = ("surface", "parts", "warped", "visible")
REFERENCE_CONTROLS = ("photo", "photo_surface", "photo_parts")
DROPPED = ("hints", "reference")  # what guidance leads away from: a base that is told nothing but the noise


class Painter(Checkpoint):
    """`painter(noisy (b t 3 h w), timestep (b,), condition) -> x0 (b t 3 h w)`.

    condition: surface (b t 3 h w) in [-1, 1], parts (b t k h w) one-hot, warped (b t 3 h w) in [-1, 1] and 0 where
    unknown, visible (b t 1 h w) 1, 0.5 (a guess) or 0, photo (b 3 h w) in [-1, 1], photo_surface (b 3 h w),
    photo_parts (b k h w). Or what `prepare` makes of it once for all noise levels. h and w are multiples of
    patch * 2 ** (levels - 1). In training there may be controls (b,), 0 in rows that are told nothing (`as_told`).
    `fine`: pixels; where the photo is known, corrections keep only what is finer, with None nothing: those pixels stay
    as they are (`keep`). `temporal`: false paints each frame alone, as the training on single frames does, for weights
    whose temporal layers have not learned since.
    """

    @register_to_config
    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 128),
        embedding: int = 128,
        patch: int = 2,
        parts: int = len(PARTS),
        temporal_decoder: bool = False,
        fine: float | None = 0.0,
        temporal: bool = True,
    ):
        super().__init__()
        self.unet = FrameUNet(widths, embedding, patch, temporal_decoder)
        self.control = ControlBranch(3 + parts + 3 + 1, widths, embedding, patch)
        self.reference = ReferenceEncoder(3 + 3 + parts, widths, patch)
        self.retouch = Retouch(widths, embedding, patch)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, noisy: Tensor, timestep: Tensor, condition: Mapping[str, Tensor], known: int = 0) -> Tensor:
        """The first `known` frames are there for the others to see; what comes out for them is their `base`."""
        told = condition if "hints" in condition else as_told(self.prepare(condition), condition)
        if self.reach > 0:
            return self.together(noisy, timestep, told, known)
        new = {name: value if name in FOR_ALL else value[:, known:] for name, value in told.items()}
        return torch.cat([told["base"][:, :known], alone(self.together, noisy[:, known:], timestep, new)], dim=1)

    def together(self, noisy: Tensor, timestep: Tensor, told: Mapping[str, Tensor], known: int = 0) -> Tensor:
        """All frames see their neighbours."""
        frames, known = noisy.shape[1], 0 if self.config["temporal_decoder"] else known
        patches = unshuffled(noisy.flatten(0, 1), self.unet.patch)
        embedding = self.unet.time(timestep).repeat_interleave(frames, dim=0)
        control = self.control(patches, told["hints"].flatten(0, 1), told["reference"], embedding, frames, known)
        patches, embedding = later(patches, frames, known), later(embedding, frames, known)
        correction = self.unet(patches, embedding, control, frames - known).unflatten(0, (len(noisy), -1))
        correction = mended(correction, told["open"][:, known:], self.config["fine"])
        return torch.cat([told["base"][:, :known], told["base"][:, known:] + correction], dim=1)

    def prepare(self, condition: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What does not depend on the noise: base (b t 3 h w), open (b t 1 h w; `keep`), hints, reference (b n c).

        `condition` has the pictures of the reference, or `reference` and `reference_map` from `reference_features`.
        """
        known = condition if "reference_map" in condition else self.reference_features(condition)
        batch = condition["warped"].shape[:2]
        stacked = torch.cat([condition[name] for name in FRAME_CONTROLS], dim=2)
        hints = self.control.hints(stacked.flatten(0, 1)).unflatten(0, batch) + known["reference_map"][:, None]
        base = filled(condition["warped"].flatten(0, 1), known_where(condition["visible"]).flatten(0, 1))
        retouch = self.retouch(hints.flatten(0, 1), base).unflatten(0, batch)
        free = open_where(condition["visible"], condition["parts"], self.config["fine"])
        base = base.unflatten(0, batch) + mended(retouch, free, self.config["fine"])
        return {"base": base, "open": free, "hints": hints, "reference": known["reference"]}

    def reference_features(self, condition: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The reference picture and its controls, digested once for a whole video."""
        added, tokens = self.reference(torch.cat([condition[name] for name in REFERENCE_CONTROLS], dim=1))
        return {"reference_map": added, "reference": tokens}

    @property
    def scheduler(self) -> DDIMScheduler:
        """The noise that it is trained with."""
        return ddim()

    @property
    def reach(self) -> int:
        """Frames to either side that one call lets a frame see: one for each temporal convolution on the way."""
        if not self.config.get("temporal", True):
            return 0
        levels = len(self.config["widths"])
        return levels + 1 + (levels if self.config["temporal_decoder"] else 0)


FOR_ALL = ("reference",)  # what a prepared condition has once for all frames


def alone(denoiser: Denoiser, noisy: Tensor, timestep: Tensor, told: Mapping[str, Tensor]) -> Tensor:
    """The denoiser on frames (b t 3 h w) as if each were a clip of its own; told: a prepared condition."""
    batch, count = noisy.shape[:2]
    each = {
        name: value.repeat_interleave(count, dim=0) if name in FOR_ALL else value.flatten(0, 1)[:, None]
        for name, value in told.items()
    }
    steps = timestep.repeat_interleave(count) if timestep.ndim else timestep
    return denoiser(noisy.flatten(0, 1)[:, None], steps, each).view(batch, count, *noisy.shape[2:])


def as_told(prepared: Mapping[str, Tensor], condition: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """What `prepare` made, without what is dropped in the rows whose "controls" (b,) are 0; their base stays.

    So that guidance has something to lead away from (Ho & Salimans, arXiv 2207.12598).
    """
    if "controls" not in condition:
        return prepared
    kept = condition["controls"]
    return {
        name: value * kept.to(value).view(-1, *[1] * (value.ndim - 1)) if name in DROPPED else value
        for name, value in prepared.items()
    }


def known_where(visible: Tensor) -> Tensor:
    """1 where the warp has a colour, be it the photo's or a guess, else 0."""
    return (visible > 0).to(visible.dtype)


def filled(pictures: Tensor, known: Tensor) -> Tensor:
    """The holes of pictures (n c h w) filled smoothly from what is known (n 1 h w; 1 or 0) around them.

    Push-pull: averages of the known pixels at half the size fill the holes, and theirs are filled in the same way.
    """
    height, width = pictures.shape[-2:]
    weight = known
    if min(height, width) > 1:
        mean = F.avg_pool2d(torch.cat([pictures * known, known], dim=1), 2, ceil_mode=True, count_include_pad=False)
        coarse, share = mean[:, :-1] / mean[:, -1:].clamp(min=1e-6), (mean[:, -1:] > 0).to(mean.dtype)
        coarse = filled(coarse, share)
        rough = F.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=False)
    else:
        rough = torch.zeros_like(pictures)
    return pictures * weight + rough * (1 - weight)


def painter_in(weights: str | Path) -> "Painter | PretrainedPainter":
    """The painter of a folder or a repository of the hub, of whichever kind it is."""
    config, _ = checkpoint_files(weights)
    kind = Painter._dict_from_json_file(config).get("_class_name")
    if kind == "PretrainedPainter":
        from video_diffusion.pretrained import PretrainedPainter

        return PretrainedPainter.from_pretrained(weights)
    if kind == "LessTold":
        from video_diffusion.less import LessTold

        return LessTold.from_pretrained(weights)
    return Painter.from_pretrained(weights)


def for_clips(weights: str, control: bool = True) -> "Painter | PretrainedPainter":
    """The painter of single frames in the folder `weights`, ready for its second training: the base is frozen.

    Every temporal convolution stays trainable, and the whole control branch if `control` (VLOGGER 3.2). Without it,
    clips of few persons cannot teach it their looks.
    """
    if not (Path(weights) / "config.json").exists():
        raise UserError(
            f"No painter in {weights}: first train one on single frames, "
            "`python -m vlogger.train experiment=video_image data=POOLS`, and name its folder with weights=FOLDER."
        )
    painter = painter_in(weights)
    painter.register_to_config(temporal=True)
    for name, parameter in painter.named_parameters():
        free = control and not name.startswith("unet.")
        parameter.requires_grad_(free or ".temporal." in f".{name}.")
    return painter.train()
