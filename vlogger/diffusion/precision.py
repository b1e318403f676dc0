"""Numbers of half the length, where the processor has instructions for them."""

import torch

from vlogger.errors import UserError

KINDS = ("auto", "float32", "bfloat16")


def autocast(precision: str) -> torch.autocast:
    """Inside, a network's convolutions and products are made in "float32" or "bfloat16".

    "auto": bfloat16 where the processor multiplies such numbers itself (AVX-512 BF16, AMX), else float32. UserError for
    other words.
    """
    if precision not in KINDS:
        raise UserError(f"precision={precision} is none of {', '.join(KINDS)}.")
    half = precision == "bfloat16" or (precision == "auto" and multiplies_bfloat16())
    return torch.autocast("cpu", torch.bfloat16, enabled=half)


def multiplies_bfloat16() -> bool:
    """Whether this processor has instructions for it; elsewhere it is emulated, and slower than float32."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
