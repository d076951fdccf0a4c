"""How training survives interruptions: it saves its state, exits when it must, never keeps a bad state, and resumes.

On a CPU with the same number of threads it goes on bit for bit. On a GPU it goes on with the same batches, views and
state, but cuDNN chooses its algorithms anew in each process, and they round differently.
"""

from __future__ import annotations

import math
import os
import signal
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import numpy as np
import torch

from simclr_steps.machine.errors import Stopped, UserError
from simclr_steps.machine.logs import log
from simclr_steps.machine.options import Saving
from simclr_steps.machine.processes import leads
from simclr_steps.machine.signals import Noted
from simclr_steps.training.checked_files import newest_intact
from simclr_steps.training.distributed import Agreement, end_together, is_anothers_end
from simclr_steps.training.history import History
from simclr_steps.training.non_finite import FiniteHoldOut, FiniteTraining
from simclr_steps.training.readers import watched_readers

_MARGIN = 10  # how many times as long as ever before an epoch's end may take


class SaveWork(L.Callback):
    """Saves the whole training now and then, and leaves it, saved, when a signal or the time budget asks for it.

    What the network draws at random while it trains is tied to seed, step and process, so that it needs no saving.
    An epoch's end can take long, as the hold-out is then measured: where the time budget may run out meanwhile, the
    training is saved before the epoch's last step, and left there if it is known to run out.
    """

    def __init__(self, checkpoint: Path, saving: Saving, seed: int, finite: FiniteTraining) -> None:
        self._checkpoint, self._saving, self._seed, self._finite = checkpoint, saving, seed, finite
        self.signal = Noted()
        self._saved = self._acted = time.monotonic()
        self._slowest_save = self._slowest_step = self._slowest_end = 0.0

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Start the clocks."""
        self._agreement = Agreement()
        self._saved = self._acted = time.monotonic()

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        """Tie the step's random numbers."""
        source = np.random.SeedSequence([self._seed, trainer.global_step, trainer.global_rank])
        torch.manual_seed(int(source.generate_state(1)[0]))

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Save or leave in the middle of an epoch; after its last batch the epoch is closed first."""
        if not trainer.is_last_batch:
            self._slowest_step = max(self._slowest_step, time.monotonic() - self._acted)
            unknown = self._saving.leave_by is not None and not self._slowest_end
            self._act(trainer, due=unknown and _ends_within(1, trainer))

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Save or leave between two epochs; always save after the last, before anything is made of the training."""
        self._slowest_end = max(self._slowest_end, time.monotonic() - self._acted)
        epoch, every = trainer.current_epoch + 1, self._saving.every_epochs
        self._act(trainer, due=epoch == trainer.max_epochs or (every is not None and epoch % every == 0))

    def _act(self, trainer: L.Trainer, *, due: bool) -> None:
        """Save if it is due, which all processes know, or if one of them asks for it; leave if one asks for that."""
        late, status = self._agreement.largest(self._wanted(trainer))
        if due or late or status:
            self._save(trainer)
        if status:
            end_together(_stopped(trainer, status))
        self._acted = time.monotonic()

    def _wanted(self, trainer: L.Trainer) -> tuple[bool, int]:
        """Return whether to save, and the exit status to leave with, 0 to stay."""
        now, leave_by = time.monotonic(), self._saving.leave_by
        left = math.inf if leave_by is None else leave_by - now
        late = now - self._saved >= 60 * self._saving.every_minutes
        ahead = self._slowest_step
        if _ends_within(1 if trainer.world_size == 1 else 2, trainer):  # several processes agree a step later
            ahead = max(ahead, self._slowest_end)
            late = late or left < _MARGIN * self._slowest_end
        if self.signal.number:
            return late, 128 + self.signal.number
        return late, os.EX_TEMPFAIL if left <= ahead + 2 * self._slowest_save else 0

    def _save(self, trainer: L.Trainer) -> None:
        started = time.monotonic()
        self._finite.check(trainer)
        trainer.save_checkpoint(self._checkpoint, weights_only=False)
        self._saved = time.monotonic()
        self._slowest_save = max(self._slowest_save, self._saved - started)


def _ends_within(steps: int, trainer: L.Trainer) -> bool:
    """Return whether the epoch ends within `steps` steps."""
    batches = int(trainer.num_training_batches)
    return batches - trainer.global_step % batches <= steps


def _stopped(trainer: L.Trainer, status: int) -> Stopped:
    reason = "the time budget ran out" if status == os.EX_TEMPFAIL else signal.Signals(status - 128).name
    steps = int(trainer.num_training_batches) * (trainer.max_epochs or 0)
    step = trainer.global_step
    return Stopped(f"stopped ({reason}), saved at step {step} of {steps}: run again to resume", status)


def resumable(
    checkpoint: Path, saving: Saving, seed: int, history: History, *callbacks: L.Callback
) -> list[L.Callback]:
    """Return the callbacks of a training that survives: what these keep is judged before and saved after them."""
    finite = FiniteTraining(checkpoint)
    save_work = SaveWork(checkpoint, saving, seed, finite)
    return [finite, history, FiniteHoldOut(checkpoint, history), *callbacks, save_work]


def fit(trainer: L.Trainer, module: L.LightningModule, checkpoint: Path, *, if_memory_is_full: str) -> None:
    """Train with `resumable` callbacks, from the newest intact generation of `checkpoint` on if there is one.

    Raises
    ------
    UserError
        When the training's memory is full, with what to do then, or when another of its processes died, those that
        read images among them.
    """
    # Lightning would ask all processes about SIGTERM at every step, and wait for the device; SaveWork needs no waiting.
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]
    newest = newest_intact(checkpoint)
    if newest:
        log.info("resuming from %s", newest)
    callbacks: list[L.Callback] = trainer.callbacks  # type: ignore[attr-defined]  # that is how the trainer keeps them
    save_work = next(callback for callback in callbacks if isinstance(callback, SaveWork))
    try:
        with save_work.signal.listening(), watched_readers():
            trainer.fit(module, ckpt_path=newest, weights_only=True)
    except torch.OutOfMemoryError as error:
        raise UserError(f"the GPU ran out of memory at step {trainer.global_step + 1}: {if_memory_is_full}") from error
    except RuntimeError as error:
        if not is_anothers_end(error):
            raise
        if not leads():
            raise Stopped("another process of this training has died", 1) from error
        raise UserError(
            "another process of this training has died, perhaps out of memory if no reason is given above: run again "
            "to resume from the last save"
        ) from error
