"""What a step runs on. Hardware changes how long a result takes, not what it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simclr_steps.errors import UserError

if TYPE_CHECKING:
    import torch


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
