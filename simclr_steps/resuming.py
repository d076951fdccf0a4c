"""How a training survives: it saves itself, leaves when it has to, never keeps a bad state, and goes on exactly."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import numpy as np
import torch

from simclr_steps.agreement import Agreement, end_together
from simclr_steps.errors import Stopped, UserError
from simclr_steps.hardware import Saving
from simclr_steps.logs import log
from simclr_steps.saving import newest_intact

STEPS_BETWEEN_CHECKS = 50
_NEVER = 2**62  # a step that no training reaches
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class FiniteLoss(L.Callback):
    """Stops a training whose loss or weights are not finite, and names the step.

    The device keeps the step; it is looked at every 50 steps, after an epoch, and before anything is saved.
    """

    def __init__(self, checkpoint: Path) -> None:
        self._checkpoint = checkpoint
        self._first_bad = torch.tensor(_NEVER)

    def on_train_batch_end(self, trainer: L.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Note the step if its loss is not finite."""
        loss = (outputs["loss"] if isinstance(outputs, Mapping) else outputs).detach()
        bad = torch.where(loss.isfinite(), _NEVER, trainer.global_step)
        self._first_bad = torch.minimum(self._first_bad.to(loss.device), bad)
        if trainer.global_step % STEPS_BETWEEN_CHECKS == 0:
            self.check(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Stop before anything is made of a bad epoch."""
        self.check(trainer)

    def check(self, trainer: L.Trainer, weights: dict[str, Any] | None = None) -> None:
        """Stop if the loss of any step so far, or any of these weights, is not finite; every process calls it.

        Raises UserError.
        """
        step = self._first_bad
        floats = [weight for weight in (weights or {}).values() if weight.is_floating_point()]
        if floats:
            finite = torch.stack([weight.isfinite().all() for weight in floats]).all()
            step = torch.where(finite, step, step.clamp(max=trainer.global_step))
        first = int(trainer.strategy.reduce(step, reduce_op="min"))
        if first < _NEVER:
            end_together(UserError(self._sentence(trainer, first)))

    def _sentence(self, trainer: L.Trainer, step: int) -> str:
        epoch = (step - 1) // int(trainer.num_training_batches) + 1
        kept = f"the last good checkpoint is {self._checkpoint}" if self._checkpoint.exists() else "none was saved yet"
        return (
            f"the loss or the weights are not finite at step {step} (epoch {epoch}): lower learning_rate, or raise "
            f"warmup_epochs or temperature; {kept}"
        )


class SaveWork(L.Callback):
    """Saves the whole training now and then, and leaves it, saved, when a signal or the time budget asks for it.

    What the network draws at random while it trains is tied to seed, step and process, so that it needs no saving.
    """

    def __init__(self, checkpoint: Path, saving: Saving, finite: FiniteLoss) -> None:
        self._checkpoint, self._saving, self._finite = checkpoint, saving, finite
        self._signal = 0
        self._saved = self._acted = time.monotonic()
        self._slowest_save = self._slowest_step = 0.0

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Listen for signals from now on; Lightning puts back who listened before."""
        for number in _SIGNALS:
            signal.signal(number, self._note)
        self._agreement = Agreement(trainer.world_size)
        self._seed = torch.initial_seed()
        self._saved = self._acted = time.monotonic()

    def _note(self, number: int, frame: Any) -> None:
        self._signal = number

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        """Tie the step's random numbers."""
        source = np.random.SeedSequence([self._seed, trainer.global_step, trainer.global_rank])
        torch.manual_seed(int(source.generate_state(1)[0]))

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Save or leave in the middle of an epoch; after its last batch the epoch is closed first."""
        if not trainer.is_last_batch:
            self._act(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Save or leave between two epochs."""
        every = self._saving.every_epochs
        self._act(trainer, due=every is not None and (trainer.current_epoch + 1) % every == 0)

    def _act(self, trainer: L.Trainer, *, due: bool = False) -> None:
        now = time.monotonic()
        self._slowest_step = max(self._slowest_step, now - self._acted)
        late = now - self._saved >= 60 * self._saving.every_minutes
        save, status = self._agreement.largest([late, self._wanted_status(now)])
        if due or save or status:
            self._save(trainer)
        if status:
            end_together(_stopped(trainer, status))
        self._acted = time.monotonic()

    def _wanted_status(self, now: float) -> int:
        """Return the exit status to leave with, 0 to stay."""
        if self._signal:
            return 128 + self._signal
        needed = self._slowest_step + 2 * self._slowest_save
        leave_by = self._saving.leave_by
        return os.EX_TEMPFAIL if leave_by is not None and now + needed >= leave_by else 0

    def _save(self, trainer: L.Trainer) -> None:
        started = time.monotonic()
        self._finite.check(trainer, trainer.lightning_module.state_dict())
        trainer.save_checkpoint(self._checkpoint, weights_only=False)
        self._saved = time.monotonic()
        self._slowest_save = max(self._slowest_save, self._saved - started)


def _stopped(trainer: L.Trainer, status: int) -> Stopped:
    reason = "the time budget is used up" if status == os.EX_TEMPFAIL else signal.Signals(status - 128).name
    steps = int(trainer.num_training_batches) * (trainer.max_epochs or 0)
    step = trainer.global_step
    return Stopped(f"stopped ({reason}), saved at step {step} of {steps}: run again to go on from there", status)


def resumable(checkpoint: Path, saving: Saving, *callbacks: L.Callback) -> list[L.Callback]:
    """Return the callbacks of a training that survives: what these keep is judged before and saved after them."""
    finite = FiniteLoss(checkpoint)
    return [finite, *callbacks, SaveWork(checkpoint, saving, finite)]


def fit(trainer: L.Trainer, module: L.LightningModule, checkpoint: Path) -> None:
    """Train, from the newest intact generation of `checkpoint` on if there is one."""
    # Lightning would ask all processes about SIGTERM at every step, and wait for the device; SaveWork needs no waiting.
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]
    newest = newest_intact(checkpoint)
    if newest:
        log.info("going on from %s", newest)
    trainer.fit(module, ckpt_path=newest, weights_only=True)
