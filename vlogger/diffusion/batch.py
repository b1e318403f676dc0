"""What a denoiser is taught on: made by the `data.py` of the stages, used by `vlogger.training`."""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """Clean values, what is told about them, and how much each entry counts (broadcastable to `clean`)."""

    clean: Tensor
    condition: Mapping[str, Tensor]
    weight: Tensor
