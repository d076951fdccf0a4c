"""What a step runs on. Hardware changes how long a result takes, not what it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simclr_steps.machine.errors import UserError
from simclr_steps.machine.gpus import take_gpus

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Hardware:
    """The devices and processes of a step."""

    gpus: int | None = None  # None takes one GPU if there is any
    processes: int = 1  # without a GPU; with GPUs there is one process for each
    nodes: int = 1  # machines that share the GPUs or processes evenly
    workers: int | None = None  # processes that read images ahead, for each that computes; None: as many as will help
    compile: str = "auto"  # "always" or "never" compile the network that is trained

    def resolved_gpus(self) -> int:
        """Return the number of GPUs to use, of all nodes; those of this one are then taken.

        Raises UserError if more are requested than are available.
        """
        import torch

        available = torch.cuda.device_count()
        gpus = min(available, 1) if self.gpus is None else self.gpus
        if gpus > available * self.nodes:
            raise UserError(f"--gpus {gpus} exceeds the {available} available GPUs: request fewer")
        take_gpus(gpus // self.nodes, available)
        return gpus

    def resolved_processes(self) -> int:
        """Return the number of processes that compute together, on all nodes.

        Raises UserError when the nodes cannot share them evenly.
        """
        processes = self.resolved_gpus() or self.processes
        if processes % self.nodes:
            raise UserError(
                f"{processes} processes cannot be divided evenly among {self.nodes} nodes: request a multiple"
            )
        return processes

    def device(self) -> torch.device:
        """Return the device of a step that computes in one process."""
        import torch

        return torch.device("cuda", 0) if self.resolved_gpus() else torch.device("cpu")


@dataclass(frozen=True)
class Saving:
    """When a training saves what it needs to go on, and when it has to leave."""

    every_minutes: float = 1.0  # 0 saves after every step
    every_epochs: int | None = None
    leave_by: float | None = None  # on time.monotonic()'s clock


NORMAL_SAVING = Saving()
