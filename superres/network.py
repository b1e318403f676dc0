"""The sharpener: a small UNet that corrects the blend of small video and warped photo, one for every size.

VLOGGER 3.2 cascades diffusion models from 128 to 256 and 512. Here one fully convolutional network does both: it
diffuses the residual of the picture to the blend, as SRDiff does to the bicubic picture (arXiv 2104.14951), and works
on 4 x 4 pixels at once, so that the widest maps have a sixteenth of the pixels.
"""

import json
from pathlib import Path

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn
from torch.nn import functional as F

from superres.blend import SCALE, detail, enlarge, factor_of, missing
from vlogger.checkpoint import Checkpoint, checkpoint_files
from vlogger.diffusion.blocks import Downsample, ResBlock, TimeEmbedding, Upsample, step_of, zero_
from vlogger.diffusion.sampling import Condition
from vlogger.errors import UserError

WEIGHTS = Path(__file__).parent / "weights"
SEEN = 13
"""Channels the network sees: noisy residual 3, enlarged video 3, detail of the blend 3, warp 3, visible 1."""


class Sharpener(Checkpoint):
    """(noisy residual, diffusion step, condition) -> residual, all (b, t, 3, H, W) in units of `blend.SCALE`.

    Condition: `small` (b t 3 h w), `warped` (b t 3 H W), `visible` (b t 1 H W), all in [0, 1]; H and W are multiples of
    `grain`. The factor H / h is told to the network. New weights give 0: the picture is the blend.
    With `exactness` also `exact` (b 1 1 1 1; if it is missing, 0): 1 says that `small` is the mean of the true picture,
    0 that a painter made it. Cascades are told how far to believe the small picture (conditioning augmentation, Ho et
    al., arXiv 2106.15282, 4.2), and one network for many degradations is told which (SRMD, arXiv 1712.06116).
    `scale` is kept with the weights: the units of the residual that they were trained on.
    """

    @register_to_config
    def __init__(
        self,
        widths: tuple[int, ...] = (48, 80, 128),
        depths: tuple[int, ...] = (1, 1, 3),
        embedding: int = 128,
        patch: int = 4,
        temporal: bool = False,
        exactness: bool = False,
        scale: float = SCALE,
    ):
        super().__init__()
        self.temporal = temporal
        self.grain = patch * 2 ** (len(widths) - 1)
        self.time = TimeEmbedding(embedding)
        self.factor = nn.Linear(1, embedding)
        self.exact = zero_(nn.Linear(1, embedding, bias=False)) if exactness else None
        self.enter = nn.Conv2d(SEEN, widths[0], patch, stride=patch)
        narrow, wide = widths[:-1], widths[1:]

        def level(width: int, depth: int, timed: bool = False) -> nn.ModuleList:
            return nn.ModuleList(ResBlock(width, width, embedding, timed) for _ in range(depth))

        self.down_blocks = nn.ModuleList(map(level, narrow, depths))
        self.downs = nn.ModuleList(map(Downsample, narrow, wide))
        self.middle = level(widths[-1], depths[-1], temporal)
        self.ups = nn.ModuleList(map(Upsample, wide, narrow))
        self.up_blocks = nn.ModuleList(map(level, narrow, depths))
        self.norm = nn.GroupNorm(8, widths[0])
        self.leave = zero_(nn.Conv2d(widths[0], 3 * patch**2, 3, padding=1))
        self.shuffle = nn.PixelShuffle(patch)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, noisy: Tensor, timestep: Tensor, condition: Condition) -> Tensor:
        b, t = noisy.shape[:2]
        known = condition if "seen" in condition else self.prepare(condition)
        seen = torch.cat([noisy, known["seen"]], dim=2).flatten(0, 1)
        x = self.enter(seen.contiguous(memory_format=torch.channels_last))
        told = self.tell(step_of(timestep, b, x.device), factor_of(known["small"], noisy))
        if self.exact is not None and "exact" in known:
            told = told + self.exact(known["exact"].view(b, 1))
        x = self.walk(x, told.repeat_interleave(t, dim=0), t)
        x = self.leave(F.silu(self.norm(x)))
        residual = self.shuffle(x).unflatten(0, (b, t))
        if self.exact is not None and "exact" in known:
            residual = residual + known["exact"] * self.missing(residual, known)
        return residual

    def missing(self, residual: Tensor, known: Condition) -> Tensor:
        """What the residual lacks for the picture's means to be `small`."""
        return missing(known["blend"] + SCALE * residual.float(), known["small"]) / SCALE

    def prepare(self, condition: Condition) -> dict[str, Tensor]:
        """What does not depend on the noise: seen (b t SEEN-3 H W), each channel about unit size, and `blend`."""
        small, warped, visible = condition["small"], condition["warped"], condition["visible"]
        up, added = enlarge(small, factor_of(small, warped)), detail(small, warped, visible)
        seen = torch.cat([2 * up - 1, added / SCALE, visible * (2 * warped - 1), visible], dim=2)
        return {**condition, "seen": seen, "blend": up + added}

    def tell(self, timestep: Tensor, factor: int) -> Tensor:
        """Diffusion step (b,) and factor -> (b, embedding)."""
        return self.time(timestep) + self.factor(timestep.new_full((len(timestep), 1), float(factor)).log2())

    def walk(self, x: Tensor, told: Tensor, frames: int) -> Tensor:
        """Down, through the middle, up; each level adds what it had on the way down."""
        kept = []
        for blocks, down in zip(self.down_blocks, self.downs, strict=True):
            x = run(blocks, x, told, frames)
            kept.append(x)
            x = down(x)
        x = run(self.middle, x, told, frames)
        for blocks, up in zip(reversed(self.up_blocks), reversed(self.ups), strict=True):
            x = run(blocks, up(x) + kept.pop(), told, frames)
        return x


def run(blocks: nn.Module, x: Tensor, told: Tensor, frames: int) -> Tensor:
    """The residual blocks of one level, one after the other."""
    for block in blocks.children():
        x = block(x, told, frames)
    return x


def from_pretrained(folder: str | Path | None = None) -> Sharpener:
    """The sharpener of a folder or a hub id; None = the weights that come with the package.

    Raises UserError if there are none, or if they tell the residual in other units.
    """
    if folder is None and not (WEIGHTS / "config.json").exists():
        raise UserError(
            f"The sharpener's weights are missing from {WEIGHTS}: train it (python -m vlogger.train experiment=superres"
            " data=FOLDER), name a folder (superres.network.folder=FOLDER), or use superres=bicubic."
        )
    folder = folder or WEIGHTS
    check_units(folder)
    network = Sharpener.from_pretrained(folder)
    return network.eval().requires_grad_(False)


def check_units(folder: str | Path) -> None:
    """UserError unless the weights of the folder or hub id were trained on residuals in units of `SCALE`."""
    config, _ = checkpoint_files(folder)
    scale = json.loads(config.read_text()).get("scale")
    if scale != SCALE:
        raise UserError(
            f"The sharpener's weights in {folder} tell the residual in units of {scale or 'an older version'}, not of"
            f" {SCALE}: train them anew (python -m vlogger.train experiment=superres data=FOLDER)."
        )


def for_clips(weights: str | Path | None = None) -> Sharpener:
    """A folder's sharpener of single frames (None: the package's) with temporal convolutions, which are 0 and learn.

    All else is frozen, as in the painter's second training (VLOGGER 3.2).
    """
    network = grown(weights, temporal=True)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(".temporal." in name)
    return network


def grown(weights: str | Path | None = None, **shape) -> Sharpener:
    """A folder's sharpener (None: the package's) with what `shape` adds to it (`depths`, `temporal`), to be trained.

    It makes the pictures that it made before: new blocks and temporal convolutions begin as 0.
    """
    before = from_pretrained(weights)
    network = Sharpener(**{**before.config, **shape})
    network.load_state_dict({**network.state_dict(), **before.state_dict()})
    return network.train()
