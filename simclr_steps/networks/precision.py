"""The number format that a network computes in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def resolve_precision(precision: str, *, gpu: bool) -> str:
    """Return "fp32", "tf32" or "bf16"; "auto" is bf16 where the hardware multiplies it at full speed, else fp32.

    There is no GPU that "auto" would leave to tf32: those that have it have bf16.
    """
    if precision != "auto":
        return precision
    return "bf16" if (_gpu_has_bf16() if gpu else _cpu_has_bf16()) else "fp32"


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


def _cpu_has_bf16() -> bool:
    """Return whether the CPU multiplies bf16; PyTorch takes it on others, too, at less than half the speed of fp32."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
