"""What all trainings share: the Lightning trainer, their history, and how they go on after they were stopped."""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from lightning.fabric.plugins.environments import LightningEnvironment  # type: ignore[attr-defined]
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor

from simclr_steps.errors import UserError
from simclr_steps.files import raise_if_full
from simclr_steps.hardware import Hardware, keep_freed_memory
from simclr_steps.logs import duration, log
from simclr_steps.precision import resolve_precision

SAVE_EVERY_SECONDS = 60.0
STEPS_BETWEEN_AGREEMENTS = 50
SPEAK_EVERY_SECONDS = 5.0


def build_trainer(
    hardware: Hardware, *, precision: str = "fp32", epochs: int = 1, callbacks: list[L.Callback] | None = None
) -> L.Trainer:
    """Return a trainer for the hardware that writes, logs and draws nothing by itself."""
    gpus = hardware.resolved_gpus()
    processes = gpus or hardware.processes
    if not gpus:
        keep_freed_memory()
    for chatty in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")  # images are read in whole batches
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # Lightning's own affair
    warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")  # GlobalBatches is
    trainer = L.Trainer(
        accelerator="gpu" if gpus else "cpu",
        devices=processes,
        strategy=DDPStrategy(gradient_as_bucket_view=True) if processes > 1 else "auto",
        # In a SLURM job Lightning would take the job's tasks for its processes and train alone.
        plugins=[LightningEnvironment()],
        precision="bf16-mixed" if resolve_precision(precision, gpu=gpus > 0) == "bf16" else "32-true",
        max_epochs=epochs,
        callbacks=callbacks,
        sync_batchnorm=gpus > 1,
        benchmark=gpus > 0,
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    if trainer.world_size != processes:
        raise RuntimeError(f"{processes} processes were asked for, but Lightning made {trainer.world_size}")
    return trainer


class History(L.Callback):
    """Keeps one row for each epoch and says how far the training is.

    A row holds epoch (from 1), step, the means over the epoch's batches of what the training step returned, what
    `validate` returned, learning_rate, images_per_second and seconds. The module that is trained offers
    `steps_per_epoch`, `images_per_step` (over all processes) and `validate()`, called by every process after an epoch.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self._sums: dict[str, Tensor] = {}
        self._seconds = 0.0
        self._learning_rate = 0.0
        self._clock = self._spoke = time.monotonic()
        self._first_step = 0

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training needs."""
        return {"rows": self.rows, "sums": self._sums, "seconds": self._seconds + time.monotonic() - self._clock}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.rows, self._sums, self._seconds = state["rows"], state["sums"], state["seconds"]

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Start the clock."""
        self._clock = self._spoke = time.monotonic()
        self._first_step = trainer.global_step

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        """Note the learning rate of the update, before the schedule moves on."""
        self._learning_rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add up what the step returned, without waiting for the device."""
        outputs = outputs if isinstance(outputs, Mapping) else {"loss": outputs}
        for name, value in outputs.items():
            total = self._sums.get(name)
            value = value.detach().to(torch.float64)
            self._sums[name] = value if total is None else total.to(value.device) + value
        if time.monotonic() - self._spoke >= SPEAK_EVERY_SECONDS:
            self._spoke = time.monotonic()
            self._speak(trainer, module, float(outputs["loss"]))

    def _speak(self, trainer: L.Trainer, module: Any, loss: float) -> None:
        done = trainer.global_step
        total = module.steps_per_epoch * (trainer.max_epochs or 0)
        pace = (time.monotonic() - self._clock) / (done - self._first_step)
        log.info(
            "epoch %d/%d, loss %.4f, %.0f images/s, %s left",
            trainer.current_epoch + 1,
            trainer.max_epochs,
            loss,
            module.images_per_step / pace,
            duration((total - done) * pace),
        )

    def on_train_epoch_end(self, trainer: L.Trainer, module: Any) -> None:
        """Close the epoch's row.

        Raises UserError when the loss is not finite.
        """
        means = {
            name: float(trainer.strategy.reduce(total / module.steps_per_epoch, reduce_op="mean"))
            for name, total in self._sums.items()
        }
        self._sums = {}
        epoch = trainer.current_epoch + 1
        if not math.isfinite(means["loss"]):
            raise UserError(
                f"the loss is {means['loss']} in epoch {epoch} (step {trainer.global_step}): lower learning_rate, or "
                "raise temperature or warmup_epochs"
            )
        now = self._seconds + time.monotonic() - self._clock
        last = self.rows[-1]["seconds"] if self.rows else 0.0
        rate = module.steps_per_epoch * module.images_per_step / max(now - last, 1e-9)
        self.rows.append(
            {
                "epoch": epoch,
                "step": trainer.global_step,
                **means,
                **module.validate(),
                "learning_rate": self._learning_rate,
                "images_per_second": round(rate, 1),
                "seconds": round(now, 3),
            }
        )


class SaveWork(L.Callback):
    """Saves the whole training every minute and at its end, so that a stopped one goes on from there."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._saved = time.monotonic()

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Save in the middle of an epoch."""
        self._save_if_due(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Save at the end of an epoch."""
        self._save_if_due(trainer)

    def _save_if_due(self, trainer: L.Trainer) -> None:
        due = time.monotonic() - self._saved >= SAVE_EVERY_SECONDS
        if trainer.world_size > 1:  # the processes must agree, and to ask at every step would slow them down
            due = trainer.global_step % STEPS_BETWEEN_AGREEMENTS == 0 and trainer.strategy.broadcast(due)
        if due:
            save_checkpoint(trainer, self._file)
            self._saved = time.monotonic()


def save_checkpoint(trainer: L.Trainer, file: Path) -> None:
    """Write a checkpoint of the whole training, whole or not at all; every process calls it."""
    partial = file.with_suffix(".partial")
    try:
        trainer.save_checkpoint(partial)
        if trainer.is_global_zero:
            partial.replace(file)
    except OSError as error:
        raise_if_full(error, file)
        raise
    trainer.strategy.barrier()


def fit(trainer: L.Trainer, module: L.LightningModule, checkpoint: Path) -> None:
    """Train, from `checkpoint` on if there is one."""
    if checkpoint.exists():
        log.info("going on from %s", checkpoint)
    trainer.fit(module, ckpt_path=checkpoint if checkpoint.exists() else None, weights_only=True)
