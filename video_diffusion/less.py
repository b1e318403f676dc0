"""Painters that are told less, to see what each control brings (the ablation of VLOGGER's Table 3)."""

from collections.abc import Mapping, Sequence

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from video_diffusion.network import Painter
from vlogger.body.parts import PARTS
from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import Body, load_body
from vlogger.body.surface import surface_code
from vlogger.errors import UserError

TOLD = ("keypoints", "dense", "warp")
# MediaPipe's points of the face: its oval, brows, eyes, nose and lips, about the usual 68
FACE_POINTS = (
    *(10, 297, 284, 389, 454, 361, 397, 379, 400, 152, 176, 150, 172, 132, 234, 162, 54, 67),
    *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
    *(168, 197, 5, 4, 98, 97, 2, 326, 327),
    *(61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91, 78, 81, 13, 311, 308, 402, 14, 178),
)
JOINTS = ("neck", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist")
NEAR = 0.04  # of the surface's code: a keypoint is seen where a pixel is at least this close to it


def keypoints(body: Body) -> Tensor:
    """(k, 3) the surface's code at the points of the face, and in front of some joints."""
    code = torch.from_numpy(surface_code(body))
    numbers = list(FACE_POINTS)
    face = (code[body.faces[body.mp_faces[numbers]]] * body.mp_bary[numbers][..., None]).sum(1)
    joints = body.J_template[[joint_index(name) for name in JOINTS]]
    offset = body.v_template[:, None] - joints
    beside = offset[..., :2].norm(dim=-1) - 0.2 * offset[..., 2]  # the skin in front of the joint
    return torch.cat([face, code[beside.argmin(0)]])


def dots(surface: Tensor, body: Tensor, points: Tensor) -> Tensor:
    """surface (n 3 h w), body (n 1 h w) 1 where there is any, points (k, 3) -> (n 1 h w) 1 at a keypoint's pixel."""
    places = surface.flatten(2).mT
    distance = torch.cdist(points.expand(len(places), -1, -1), places)
    distance = torch.where(body.flatten(1)[:, None] > 0, distance, torch.inf)
    nearest, place = distance.min(dim=-1)
    seen = torch.zeros(len(places), places.shape[1], device=surface.device)
    seen.scatter_reduce_(1, place, (nearest < NEAR).to(seen), "amax")
    return seen.unflatten(1, surface.shape[2:])[:, None]


class LessTold(Painter):
    """The painter with `told`: "keypoints" (2D points of the face and the arms), "dense" (surface and parts, no warp)
    or "warp" (all). What it is not told is 0, in the photo's own maps too; where there is no warp it paints from
    grey."""

    points: Tensor

    @register_to_config
    def __init__(
        self,
        told: str = "warp",
        widths: Sequence[int] = (32, 64, 128),
        embedding: int = 128,
        patch: int = 2,
        parts: int = len(PARTS),
        temporal_decoder: bool = False,
        fine: float | None = 0.0,
        temporal: bool = True,
    ):
        super().__init__(widths, embedding, patch, parts, temporal_decoder, fine, temporal)
        if told not in TOLD:
            raise UserError(f"told={told}: give one of {', '.join(TOLD)}.")
        self.register_buffer("points", keypoints(load_body()))

    def prepare(self, condition: Mapping[str, Tensor]) -> dict[str, Tensor]:
        known = condition if "reference_map" in condition else self.reference_features(condition)
        return super().prepare({**self.less(condition, ""), **known})

    def reference_features(self, condition: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return super().reference_features({**condition, **self.less(condition, "photo_")})

    def less(self, condition: Mapping[str, Tensor], of: str) -> dict[str, Tensor]:
        """The maps of the frames ("") or of the photo ("photo_") that this painter is told."""
        left = {name: condition[of + name] for name in ("surface", "parts")}
        if self.config["told"] == "keypoints":
            left = {name: value * self.seen(left["surface"], left["parts"]) for name, value in left.items()}
        told = {of + name: value for name, value in left.items()}
        if not of:
            kept = 1.0 if self.config["told"] == "warp" else 0.0
            told |= {name: condition[name] * kept for name in ("warped", "visible")}
        return told

    def seen(self, surface: Tensor, parts: Tensor) -> Tensor:
        """(… 1 h w) 1 at the keypoints."""
        flat = surface.flatten(0, -4)
        body = parts.flatten(0, -4).amax(1, keepdim=True)
        return dots(flat, body, self.points).unflatten(0, surface.shape[:-3])
