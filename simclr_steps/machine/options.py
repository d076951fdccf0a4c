"""What a step runs on. Hardware changes how long a result takes, not what it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simclr_steps.machine.errors import UserError
from simclr_steps.machine.gpus import machine_shows_gpu, obstacle, take_gpus
from simclr_steps.machine.logs import log

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Devices:
    """What a step has claimed, for as long as it runs."""

    gpus: int  # of all nodes
    processes: int  # that compute together, of all nodes
    nodes: int
    workers: int | None
    compile: str

    @property
    def device(self) -> torch.device:
        """The device of a step that computes in one process."""
        import torch

        return torch.device("cuda", 0) if self.gpus else torch.device("cpu")


@dataclass(frozen=True)
class Hardware:
    """The devices and processes that a step is asked to use."""

    gpus: int | None = None  # None takes one GPU if there is any
    processes: int = 1  # without a GPU; with GPUs there is one process for each
    nodes: int = 1  # machines that share the GPUs or processes evenly
    workers: int | None = None  # processes that read images ahead, for each that computes; None: as many as will help
    compile: str = "auto"  # "always" or "never" compile the network that is trained

    def claim(self) -> Devices:
        """Take this machine's share of the GPUs; a step calls it once, before it uses CUDA.

        Raises
        ------
        UserError
            If more are requested than are available, if torch cannot use those that are requested, or if the nodes
            cannot share the processes evenly.
        """
        import torch

        is_shown = machine_shows_gpu()  # asked first, as it does not wait for a driver that hangs
        available = torch.cuda.device_count()
        gpus = min(available, 1) if self.gpus is None else self.gpus
        if gpus > available * self.nodes:
            raise UserError(f"--gpus {gpus} exceeds the {available} available GPUs: request fewer")
        take_gpus(gpus // self.nodes, available)
        gpus = self._usable(gpus, is_shown)
        processes = gpus or self.processes
        if processes % self.nodes:
            raise UserError(
                f"{processes} processes cannot be divided evenly among {self.nodes} nodes: request a multiple"
            )
        return Devices(gpus, processes, self.nodes, self.workers, self.compile)

    def _usable(self, gpus: int, is_shown: bool) -> int:
        """Return how many of the GPUs that were taken torch can use: all or, where nobody asked for them, none."""
        is_guess = self.gpus is None
        why = obstacle() if gpus or (is_guess and is_shown) else None
        if why is None:
            return gpus
        if not is_guess:
            raise UserError(f"--gpus {gpus}: torch cannot use the GPU ({why}): fix this, or pass --gpus 0")
        log.warning("warning: continuing without a GPU because torch cannot use the one it sees: %s", why)
        return 0


@dataclass(frozen=True)
class Saving:
    """When a training saves what it needs to go on, and when it has to leave."""

    every_minutes: float = 1.0  # 0 saves after every step
    every_epochs: int | None = None
    leave_by: float | None = None  # on time.monotonic()'s clock


NORMAL_SAVING = Saving()
