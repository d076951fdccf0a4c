"""The number format that a network computes in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def resolve_precision(precision: str, *, gpu: bool) -> str:
    """Return "fp32", "tf32" or "bf16"; "auto" is bf16 on a GPU that multiplies it at full speed, else fp32.

    There is no GPU that "auto" would leave to tf32: those that have it have bf16. On CPUs that have bf16, PyTorch 2.11
    (oneDNN 3.10) leaves memory as it was in the gradient of a convolution of stride 2 that sees a single pixel.
    """
    if precision != "auto":
        return precision
    return "bf16" if gpu and _gpu_has_bf16() else "fp32"


def allow_tf32(precision: str) -> None:
    """Let the convolutions of a GPU round their factors to TF32, or forbid it; what has no TF32 computes in fp32.

    Matrix products, and so the loss, are in IEEE fp32 in either case.
    """
    torch.backends.cudnn.allow_tf32 = precision == "tf32"


@contextmanager
def ieee_fp32(device: torch.device) -> Iterator[None]:
    """Compute in IEEE fp32 on a device, in whatever precision a training around it computes."""
    allowed = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.backends.cudnn.allow_tf32 = allowed


def _gpu_has_bf16() -> bool:
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))
