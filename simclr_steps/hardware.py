"""What a step runs on. Hardware changes how long a result takes, not what it is."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simclr_steps.errors import UserError

if TYPE_CHECKING:
    import torch

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of malloc.h


def leads() -> bool:
    """Tell whether this process speaks and writes for all that compute together on this machine."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def keep_freed_memory() -> None:
    """Let glibc keep freed memory, which would else be mapped and cleared anew in every step: a tenth of its time."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # other C libraries know no such settings
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


@dataclass(frozen=True)
class Hardware:
    """The devices and processes of a step."""

    gpus: int | None = None  # None takes one GPU if there is any
    processes: int = 1  # without a GPU; with GPUs there is one process for each
    workers: int = 0  # processes that read data ahead, for each process that computes

    def resolved_gpus(self) -> int:
        """Return the number of GPUs to use.

        Raises UserError when more are asked for than there are.
        """
        import torch

        available = torch.cuda.device_count()
        if self.gpus is None:
            return min(available, 1)
        if self.gpus > available:
            raise UserError(f"--gpus {self.gpus} asks for more GPUs than the {available} that there are: ask for fewer")
        return self.gpus

    def device(self) -> torch.device:
        """Return the device of a step that computes in one process."""
        import torch

        return torch.device("cuda", 0) if self.resolved_gpus() else torch.device("cpu")
