"""The number format that a network computes in."""

from __future__ import annotations

from pathlib import Path

import torch


def resolve_precision(precision: str, *, gpu: bool) -> str:
    """Return "fp32" or "bf16"; "auto" is bf16 where the hardware multiplies it at full speed."""
    if precision != "auto":
        return precision
    return "bf16" if (_gpu_has_bf16() if gpu else _cpu_has_bf16()) else "fp32"


def _gpu_has_bf16() -> bool:
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def _cpu_has_bf16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("flags", 1)[1].split("\n", 1)[0].split()
    except (OSError, IndexError):
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
