"""How far lips are open and how wide they are, of any expression of the body, and expressions that show given lips."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vlogger.body.smplx import Body

POINTS = (13, 14, 61, 291, 10, 152)  # MediaPipe's: upper and lower lip, corners of the mouth, forehead, chin
ROUNDS = 6  # of correction: units that would leave [0, 1] pass on to others what they cannot do
EASE = 1e-8  # of squared face heights: what is not to be reached is not forced


def lips_of(points: Tensor) -> Tensor:
    """(..., 6, n) POINTS -> (..., 2): opening and width over the height of the face.

    The opening is how far the upper lip is above the lower one, towards the forehead: lips that have gone through each
    other, as those of a mesh can, are less than shut.
    """
    apart, wide, up = spans(points.movedim(-2, 0)).unbind(0)
    height = up.norm(dim=-1)
    return torch.stack([(apart * up).sum(-1) / height**2, wide.norm(dim=-1) / height], dim=-1)


def spans(points: Tensor) -> Tensor:
    """(6, ...) POINTS -> (3, ...): from the one to the other of the lips, the corners, forehead and chin."""
    return points[0::2] - points[1::2]


@dataclass(frozen=True)
class Lips:
    """The POINTS of a body with its head at rest: base (6, 3) metres, and what each unit adds, (6, 3, e)."""

    base: Tensor
    units: Tensor

    def __call__(self, expression: Tensor) -> Tensor:
        """(..., e) -> (..., 2) opening and width, face heights."""
        return lips_of(self.base + torch.einsum("pxe,...e->...px", self.units, expression))

    def to(self, other: Tensor) -> "Lips":
        """With the device and the precision of another tensor."""
        return Lips(self.base.to(other), self.units.to(other))

    def slopes(self, expression: Tensor) -> Tensor:
        """(t, e) -> (t, 2, e) how they change with each unit."""
        units = spans(self.units)
        apart, wide, up = (spans(self.base)[:, None] + torch.einsum("sxe,te->stx", units, expression)).unbind(0)
        height, width = up.norm(dim=-1, keepdim=True), wide.norm(dim=-1, keepdim=True)
        taller = up @ units[2] / height
        opening = (apart * up).sum(-1, keepdim=True) / height**2
        opens = (up @ units[0] + apart @ units[2]) / height**2 - 2 * opening * taller / height
        widens = wide @ units[1] / width / height - width / height**2 * taller
        return torch.stack([opens, widens], dim=1)

    def showing(self, wanted: Tensor, expression: Tensor, covariance: Tensor) -> Tensor:
        """(t, e) within [0, 1]: the expression nearest to `expression` whose lips are `wanted` (t, 2).

        Near as people's units vary together: their covariance (e, e), under which the change is the likeliest one.
        """
        expression = expression.clamp(0, 1)
        for _ in range(ROUNDS):
            slopes, missing = self.slopes(expression), wanted - self(expression)
            moves = slopes @ covariance
            gain = moves @ slopes.transpose(1, 2) + EASE * torch.eye(2)
            change = (moves.transpose(1, 2) @ torch.linalg.solve(gain, missing[..., None]))[..., 0]
            expression = (expression + change).clamp(0, 1)
        return expression


def lips_on(body: Body) -> Lips:
    """Those of the mean person of a body."""
    numbers = list(POINTS)
    corners, weights = body.faces[body.mp_faces[numbers]], body.mp_bary[numbers]
    base = (body.v_template[corners] * weights[..., None]).sum(1)
    return Lips(base, torch.einsum("pcxe,pc->pxe", body.exprdirs[corners], weights))
