"""Paint: controls become video by diffusion, a window of frames at a time (VLOGGER 3.2)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from einops import rearrange
from torch import Tensor

from video_diffusion.network import DROPPED, FRAME_CONTROLS, Painter, known_where, painter_in
from video_diffusion.outpaint import Window, frame_noise, outpaint, windows
from vlogger.diffusion.guidance import Guided
from vlogger.diffusion.precision import autocast
from vlogger.diffusion.sampling import Condition, Known, sample
from vlogger.errors import UserError
from vlogger.stages import ControlSequence
from vlogger.types import Controls, Video

if TYPE_CHECKING:
    from video_diffusion.pretrained import PretrainedPainter

EMBEDDED = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class DiffusionPainter:
    """The stage `ControlsToVideo`: `steps` denoising steps for windows of `window` frames, `overlap` of them known.

    `shared`: part of the noise that all frames have in common. `guidance`: classifier-free, for the controls; 1: none.
    `precision`: see `vlogger.diffusion.precision`. The photo is digested once for the whole video; a window needs the
    memory of a window, however long the video is. `start`, `painted`: see `going_on`.
    """

    network: "Painter | PretrainedPainter"
    scheduler: object
    steps: int = 4
    window: int = 16
    overlap: int = 4
    shared: float = 0.5
    guidance: float = 1.0
    precision: str = "float32"
    start: int = 0
    painted: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.uint8))

    def going_on(self, start: int, painted: Tensor) -> "DiffusionPainter":
        """The same painter from frame `start` on, where a clip of it ended; `painted` (n 3 h w uint8): those before."""
        return replace(self, start=start, painted=painted)

    @torch.inference_mode()
    def __call__(self, controls: ControlSequence, *, generator: torch.Generator) -> Iterator[Video]:
        seed = int(torch.randint(2**31, (), generator=generator))
        plan = list(windows(len(controls), self.window, self.overlap, self.network.reach))
        with autocast(self.precision):
            reference = self.network.reference_features(reference_condition(controls))
        conditions = Conditions(self.network, controls, reference, self.precision)
        conditions.recall(plan, self.start)
        ahead = iter([window for window in plan if window.new >= self.start])
        for frames in outpaint(partial(self.paint, conditions, seed), ahead, self.painted):
            yield Video(frames, controls.fps)

    def paint(self, conditions: "Conditions", seed: int, window: Window, known: Tensor) -> Tensor:
        """The new frames of a window (t 3 h w uint8); those before them are `known`, as the viewer will see them."""
        told = conditions(window)
        noise = frame_noise(seed, window.first, window.last, told["base"].shape[2:], self.shared)[None]
        before = given(from_pixels(known), noise)
        denoiser = Guided(partial(self.denoise, len(known)), self.guidance, DROPPED)
        frames = sample(denoiser, self.scheduler, noise, told, self.steps, before)
        return to_pixels(frames[0, len(known) :])

    def denoise(self, known: int, noisy: Tensor, timestep: Tensor, condition: Condition) -> Tensor:
        with autocast(self.precision):
            return self.network(noisy, timestep, condition, known).float()


class Conditions:
    """What the network is told about each window; what two windows share is rendered and digested once."""

    def __init__(
        self,
        network: "Painter | PretrainedPainter",
        controls: ControlSequence,
        reference: Condition,
        precision: str = "float32",
    ):
        self.network, self.controls, self.reference, self.precision = network, controls, reference, precision
        self.last: dict[str, Tensor] = {}

    def __call__(self, window: Window) -> dict[str, Tensor]:
        fresh = {**frame_condition(self.controls[window.new : window.last]), **self.reference}
        with autocast(self.precision):
            told = self.network.prepare(fresh)
        count = window.new - window.first
        for name in told.keys() - self.reference.keys() if count else ():
            old = self.last[name]
            told[name] = torch.cat([old[:, old.shape[1] - count :], told[name]], dim=1)
        self.last = told
        return told

    def recall(self, plan: Sequence[Window], start: int) -> None:
        """Digest what the windows before `start` would have left behind for the one that begins there."""
        first = min((window.first for window in plan if window.new >= start), default=start)
        seen = [window for window in plan if first < window.last <= start]
        for window in seen:
            self(window._replace(first=max(window.first, seen[0].new)))


def given(known: Tensor, noise: Tensor) -> Known | None:
    """The known first frames (n 3 h w) of a window as values of the whole window (1 t 3 h w)."""
    if len(known) == 0:
        return None
    values, mask = torch.zeros_like(noise), torch.zeros(1, noise.shape[1], 1, 1, 1)
    values[0, : len(known)], mask[:, : len(known)] = known, 1
    return Known(mask, values)


def frame_condition(controls: Controls) -> dict[str, Tensor]:
    """Controls of a few frames as the network wants them, with a batch axis of one."""
    warped = (controls.warped * 2 - 1) * known_where(controls.visible)
    values = (controls.surface, controls.parts, warped, controls.visible)
    return {name: value[None] for name, value in zip(FRAME_CONTROLS, values, strict=True)}


def reference_condition(controls: ControlSequence) -> dict[str, Tensor]:
    """The photo in [-1, 1] and its own surface and parts, with a batch axis of one."""
    photo, own = controls.photo, controls.reference
    return {"photo": photo[None] * 2 - 1, "photo_surface": own.surface, "photo_parts": own.parts}


def to_pixels(frames: Tensor) -> Tensor:
    """[-1, 1] -> uint8."""
    return ((frames + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def from_pixels(frames: Tensor) -> Tensor:
    """uint8 -> [-1, 1]."""
    return frames / 127.5 - 1


def painter_from(
    weights: str | None,
    scheduler: DDIMScheduler | None,
    steps: int = 4,
    window: int = 16,
    overlap: int = 4,
    shared: float = 0.5,
    guidance: float = 1.0,
    precision: str = "float32",
) -> DiffusionPainter:
    """A painter with the network in a folder or on the hub (`weights`), or with the embedded one (None).

    UserError if a pretrained base was trained with another noise than that of `scheduler`; None takes its own.
    """
    if weights is None and not (EMBEDDED / "config.json").exists():
        raise UserError(
            f"The painter's weights are missing in {EMBEDDED}: train them with "
            "`python -m vlogger.train experiment=video_image data=POOLS`, or name a folder with video.weights=FOLDER."
        )
    network = painter_in(weights or EMBEDDED)
    scheduler = network.scheduler if scheduler is None else scheduler
    if not torch.allclose(network.scheduler.alphas_cumprod, scheduler.alphas_cumprod):
        raise UserError(f"The base of {weights} was trained with other noise; use video=paper or video.scheduler=null.")
    return DiffusionPainter(network, scheduler, steps, window, overlap, shared, guidance, precision)


@torch.inference_mode()
def preview(denoiser: Painter, task, scheduler, steps: int = 4, clips: int = 8) -> Tensor:
    """A picture of the training so far (3 h w in [0, 1]), rows: target, photo, warp, painted."""
    batch = task.validation()[0]
    condition = {name: value[:clips] for name, value in batch.condition.items()}
    clean = batch.clean[:clips]
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    painted = sample(denoiser, scheduler, noise, condition, steps)
    photo = condition["photo"][:, None].expand_as(clean)
    rows = [rearrange(row, "b t c h w -> c h (b t w)") for row in (clean, photo, condition["warped"], painted)]
    return torch.cat(rows, dim=1).clamp(-1, 1) / 2 + 0.5
