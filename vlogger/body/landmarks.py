"""Landmark layouts on the face: iBUG's 68 points and MediaPipe's 478 (468 of the face mesh, then 5 for each iris)."""

import numpy as np
from numpy.typing import NDArray

MEDIAPIPE_COUNT = 478
IRIS = tuple(range(468, 478))  # 468 centre of the person's right iris, 473 of the left one, rings of four after each

# MediaPipe point that stands for each iBUG point 0..67 (contour, brows, nose, eyes, mouth).
MEDIAPIPE_OF_IBUG = (
    *(162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389),
    *(71, 63, 105, 66, 107, 336, 296, 334, 293, 301),
    *(168, 197, 5, 4, 75, 97, 2, 326, 305),
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),
    *(78, 82, 13, 312, 308, 317, 14, 87),
)

# Rings in order, from the person's right mouth or outer eye corner over the upper rim and back along the lower one.
OUTER_LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
INNER_LIPS = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
RIGHT_LIDS = (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7)
LEFT_LIDS = (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249)


def points_on_faces(vertices: NDArray, faces: NDArray, face: NDArray, bary: NDArray) -> NDArray:
    """(..., V, 3), (F, 3), (n,), (n, 3) -> (..., n, 3): the points; nan where the face is -1."""
    points = np.einsum("...nkc,nk->...nc", vertices[..., faces[face], :], bary)
    points[..., face < 0, :] = np.nan
    return points


def mediapipe_from_ibug(face68: NDArray, bary68: NDArray) -> tuple[NDArray, NDArray]:
    """What a file with iBUG points alone tells about MediaPipe's: (478,) faces, -1 where unknown, and (478, 3)."""
    face, bary = np.full(MEDIAPIPE_COUNT, -1, np.int64), np.zeros((MEDIAPIPE_COUNT, 3), np.float32)
    face[list(MEDIAPIPE_OF_IBUG)], bary[list(MEDIAPIPE_OF_IBUG)] = face68, bary68
    return face, bary
