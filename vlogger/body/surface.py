"""A number for each place on a body's skin, the same for all bodies and poses: what VLOGGER 3.2 calls C^d shows."""

import numpy as np
import torch
from numpy.typing import NDArray

from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import Body

REACH = 0.3  # metres from the middle of the head at which the code is tanh(1)


def surface_code(body: Body) -> NDArray[np.float32]:
    """(V,3) tanh((template position - head joint) / 0.3 m): finest around the head, where a pixel covers the least."""
    return torch.tanh((body.v_template - body.J_template[joint_index("head")]) / REACH).numpy()
