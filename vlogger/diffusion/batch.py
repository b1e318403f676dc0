"""What a denoiser is taught on: made by the `data.py` of the stages, used by `vlogger.training`."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Clean values, what is told about them, and how much each entry counts (broadcastable to `clean`)."""

    clean: Tensor
    condition: Mapping[str, Tensor]
    weight: Tensor
