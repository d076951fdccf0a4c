"""Numbers that are not finite end a training before anything is made of them, with the step and what is kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch

from simclr_steps.machine.errors import UserError
from simclr_steps.networks.user_code import OWN_AUGMENTATION
from simclr_steps.training.distributed import end_together
from simclr_steps.training.history import History

STEPS_BETWEEN_CHECKS = 50
_NEVER = 2**62  # a step that no training reaches


class FiniteTraining(L.Callback):
    """Stops a training whose loss or weights are not finite, and names the step.

    The device keeps the step; it is looked at every 50 steps, after an epoch, and before anything is saved. The weights
    are looked at with it, but for the 50 steps.
    """

    def __init__(self, checkpoint: Path) -> None:
        self._checkpoint = checkpoint
        self._first_bad = torch.tensor(_NEVER)

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the step if its loss is not finite."""
        loss = (outputs["loss"] if isinstance(outputs, Mapping) else outputs).detach()
        bad = torch.where(loss.isfinite(), _NEVER, trainer.global_step)
        self._first_bad = torch.minimum(self._first_bad.to(loss.device), bad)
        if trainer.global_step % STEPS_BETWEEN_CHECKS == 0:
            self._stop_if_bad(trainer, self._first_bad)

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Stop before anything is made of a bad epoch."""
        self.check(trainer)

    def check(self, trainer: L.Trainer) -> None:
        """Stop if the loss of any step so far, or any weight or statistic, is not finite; every process calls it.

        Raises
        ------
        UserError
            When one is not.
        """
        weights = [weight for weight in trainer.lightning_module.state_dict().values() if weight.is_floating_point()]
        finite = torch.stack([weight.isfinite().all() for weight in weights]).all()
        step = self._first_bad.to(finite.device)
        self._stop_if_bad(trainer, torch.where(finite, step, step.clamp(max=trainer.global_step)))

    def _stop_if_bad(self, trainer: L.Trainer, step: torch.Tensor) -> None:
        first = int(trainer.strategy.reduce(step, reduce_op="min"))
        if first < _NEVER:
            epoch = (first - 1) // int(trainer.num_training_batches) + 1
            what = f"the loss or the weights are not finite at step {first} (epoch {epoch})"
            end_together(_not_finite(what, self._checkpoint, trainer))


class FiniteHoldOut(L.Callback):
    """Stops a training whose hold-out is measured as no finite number; it must stand behind the history."""

    def __init__(self, checkpoint: Path, history: History) -> None:
        self._checkpoint, self._history = checkpoint, history

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Stop before the epoch is compared with others.

        Raises
        ------
        UserError
            When a number of its row is not finite.
        """
        row = self._history.rows[-1]
        bad = [name for name, value in row.items() if value is not None and not math.isfinite(value)]
        worst = trainer.strategy.reduce(torch.tensor(len(bad), device=trainer.strategy.root_device), reduce_op="max")
        if int(worst):
            what = f"{' and '.join(bad) or 'a measure'} of the hold-out is not finite after epoch {row['epoch']}"
            end_together(_not_finite(what, self._checkpoint, trainer))


def _not_finite(what: str, checkpoint: Path, trainer: L.Trainer) -> UserError:
    own = trainer.lightning_module.own_augmentation
    advice = f", or see whether {OWN_AUGMENTATION}: {own} returns values that are NaN or infinite" if own else ""
    remedies = "lower learning_rate, or raise warmup_epochs or temperature"
    if trainer.precision == "bf16-mixed":
        remedies += ", or set precision: fp32"
    kept = f"the last good checkpoint is {checkpoint}" if checkpoint.exists() else "no checkpoint was saved yet"
    return UserError(f"{what}: {remedies}{advice}; {kept}")
