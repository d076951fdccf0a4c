"""Compile the network when training starts, and train it uncompiled if that fails."""

from __future__ import annotations

import time
from abc import abstractmethod

import lightning.pytorch as L
import torch
from torch import Tensor

from simclr_steps.durations import duration
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.networks.buffers import on_copies_of_buffers
from simclr_steps.training.distributed import end_together, mean_of_all
from simclr_steps.training.module import Trained


class Compilable(Trained):
    """A module whose training can be compiled."""

    @abstractmethod
    def compile_parts(self, *, disable: bool = False) -> None:
        """Compile what is worth it; `disable` undoes all of it."""

    @abstractmethod
    def trial_step(self) -> Tensor:
        """Return some loss of a step of the training's shapes, in its precision, with all that is compiled in it."""


class Compiled(L.Callback):
    """Compiles a training on trial, by a step that changes nothing, in all of its processes or in none.

    torch.compile fails when what it compiled is first called, so that call is made before the training depends on it.
    """

    def __init__(self, module: Compilable, *, insist: bool) -> None:
        self._module, self._insist = module, insist

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Compile the module, or go on without.

        Raises
        ------
        UserError
            When it fails and `insist` is set.
        """
        started = time.monotonic()
        log.info("compiling, which takes a minute or so")
        self._module.compile_parts()
        error = _error_of_trial(self._module)
        failed = torch.tensor(error is not None, dtype=torch.float64, device=self._module.device)
        if float(mean_of_all(failed)) == 0:
            log.info("compiled in %s", duration(time.monotonic() - started))
            return
        self._module.compile_parts(disable=True)
        reason = "another process could not compile it" if error is None else f"{type(error).__name__}: {_first(error)}"
        if self._insist:
            end_together(UserError(f"--compile always: torch.compile fails here ({reason}): leave --compile out"))
        log.warning("warning: training without torch.compile, which fails here: %s", reason)


def _error_of_trial(module: Compilable) -> Exception | None:
    """Run a step forward and backward and leave weights, gradients and statistics as they were; return its error.

    Raises
    ------
    UserError
        If its images cannot be read, which is not torch.compile's fault.
    """
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    try:
        with on_copies_of_buffers(module):
            torch.autograd.grad(module.trial_step(), parameters, allow_unused=True)
            if module.device.type == "cuda":
                torch.cuda.synchronize(module.device)  # or a kernel's failure would show in a later step
    except UserError:
        raise
    except Exception as error:  # whatever it is, the training can do without
        return error
    return None


def _first(error: Exception) -> str:
    """Return the first line that an error says anything in."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")
