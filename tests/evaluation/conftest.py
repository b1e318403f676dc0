"""Faces and clips that need no file: the points of the open body's face, and the astronaut moving a little."""

import numpy as np
import pytest
import torch

from vlogger.body.smplx import load_body
from vlogger.evaluation.films import Film
from vlogger.pixels import resample


@pytest.fixture(scope="session")
def body():
    return load_body()


@pytest.fixture(scope="session")
def face(body):
    """(478, 3) MediaPipe's points on the open body's face, as pixels; y down. Unknown ones lie on the nose."""
    known = body.mp_faces >= 0
    corners = body.v_template[body.faces[body.mp_faces.clamp(min=0)]]
    points = (corners * body.mp_bary[..., None]).sum(1)
    points = torch.where(known[:, None], points, points[4])
    return (1000 * points * torch.tensor([1.0, -1.0, -1.0])).numpy().astype(np.float64)


@pytest.fixture(scope="session")
def astronaut():
    """(3, 256, 256) uint8: her head."""
    import skimage.data

    picture = torch.from_numpy(skimage.data.astronaut().copy()).permute(2, 0, 1)
    return resample(picture, (0.0, 90.0, 256.0, 256.0), 256, 256)


@pytest.fixture(scope="session")
def film(astronaut):
    """Six frames in which she moves a pixel a frame."""
    frames = [resample(astronaut, (0.0, float(i), 250.0, 250.0), 256, 256) for i in range(6)]
    return Film(torch.stack(frames), 25.0)
