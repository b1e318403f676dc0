"""The dense controls of VLOGGER 3.2: which template point and which body part each pixel sees (C^d, C^m)."""

import torch
from torch import Tensor

from render.rasterize import Fragments, interpolate
from vlogger.body.parts import PARTS
from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import Body

REACH = 0.3  # metres from the middle of the head at which the code is tanh(1)


def surface_map(body: Body, fragments: Fragments) -> Tensor:
    """C^d (B,3,H,W): tanh((template position - head joint) / 0.3 m), 0 where there is no body.

    The template's place, not the posed one: a pixel that follows a skin point keeps its value. Distances are finest
    around the head, where a pixel covers the least skin.
    """
    code = (body.v_template - body.J_template[joint_index("head")]) / REACH
    return torch.tanh(interpolate(code, body.faces, fragments)).movedim(-1, 1)


def parts_map(body: Body, fragments: Fragments) -> Tensor:
    """C^m (B,K,H,W): one-hot body part in the order of `PARTS`, all 0 where there is no body."""
    part = torch.where(fragments.mask, body.part_of_face[fragments.face_id.clamp(min=0)], -1)
    return (part[:, None] == torch.arange(len(PARTS), device=part.device)[:, None, None]).float()
