"""Clips from stills: truth and warp of one picture carried along one smooth path, as a camera in a hand would see them.

What the sharpener is to learn from clips is what stays the same while the painter's faults change from frame to frame;
a still in motion shows that as well as a person does.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from superres.blend import uncovered


@dataclass(frozen=True)
class Wandering:
    """The most of each, there and back on a sine: shift (share of the side), turn (radians), zoom (share), and the
    fastest sine (radians a frame)."""

    shift: float = 0.06
    turn: float = 0.05
    zoom: float = 0.04
    speed: float = 0.5

    def __call__(self, crops: Mapping[str, Tensor], frames: int, generator: Generator) -> dict[str, Tensor]:
        """Crops of one frame (b 1 c H W) -> of `frames`; "warped" has colours where "visible" is above 0."""
        grid = self.grids(len(crops["target"]), frames, crops["target"].shape[-1], generator)
        moved = {name: carried(x, grid, "bicubic").clamp(0, 1) for name, x in crops.items() if name != "warped"}
        colour = carried(crops["warped"] * crops["visible"], grid, "bicubic").clamp(0, 1)
        known = moved["visible"]
        moved["warped"] = uncovered(colour, known).clamp(0, 1)
        return {**moved, "visible": (known > 0.5).to(known.dtype)}

    def grids(self, batch: int, frames: int, side: int, generator: Generator) -> Tensor:
        """Where each pixel of each frame comes from: (b t side side 2) in [-1, 1], right and down."""
        speed, phase, most = (torch.rand(batch, 1, 4, generator=generator) for _ in range(3))
        time = torch.arange(frames)[:, None]
        path = torch.tensor([2 * self.shift, 2 * self.shift, self.turn, self.zoom]) * most
        right, down, turn, zoom = (path * torch.sin(self.speed * speed * time + 2 * math.pi * phase)).unbind(-1)
        cos, sin = (1 + zoom) * torch.cos(turn), (1 + zoom) * torch.sin(turn)
        affine = torch.stack([cos, -sin, right, sin, cos, down], dim=-1).view(-1, 2, 3)
        return F.affine_grid(affine, [batch * frames, 1, side, side], align_corners=False).unflatten(0, (batch, frames))


def carried(x: Tensor, grid: Tensor, mode: str) -> Tensor:
    """Pictures of one frame (b 1 c H W) seen through grids (b t H W 2): (b t c H W); the border is a mirror."""
    frames = x.expand(-1, grid.shape[1], -1, -1, -1).flatten(0, 1)
    seen = F.grid_sample(frames, grid.flatten(0, 1), mode, "reflection", align_corners=False)
    return seen.unflatten(0, grid.shape[:2])
