"""How much of the body a portrait shows, in the three classes of VLOGGER's figure 3."""

import torch

from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import Body, pose
from vlogger.framing import chin_and_crown, project
from vlogger.types import Subject

TIGHT, TORSO, HANDS = "tight face", "head+torso", "torso+hands"
CHEST = 1.0  # heads that a picture must show below the chin to count as head+torso


def visible_body(subject: Subject, body: Body) -> str:
    """torso+hands: a wrist and its middle finger lie in the picture; head+torso: one head below the chin is seen."""
    posed = pose(body, subject.betas, subject.rotations[None], subject.expression[None], subject.translation[None])
    height, width = subject.portrait.image.shape[1:]
    joints = project(posed.joints[0], subject.intrinsics)[:, :2]
    for side in ("left", "right"):
        points = joints[[joint_index(f"{side}_wrist"), joint_index(f"{side}_middle1")]]
        inside = (points >= 0).all() and (points < torch.tensor([width, height])).all()
        if inside:
            return HANDS
    chin, crown = project(posed.vertices[0, list(chin_and_crown(body))], subject.intrinsics)[:, 1].tolist()
    return TORSO if height - chin > CHEST * (chin - crown) else TIGHT
