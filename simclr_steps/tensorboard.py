"""A training's history as TensorBoard reads it, while it grows."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as L

from simclr_steps.files import raise_if_full
from simclr_steps.logs import log
from simclr_steps.training import History


class TensorBoard(L.Callback):
    """Writes each row of a history into event files; a resumed training writes all its rows anew, so none is doubled.

    Every column is a scalar over the updates made so far. It must stand behind the history among the callbacks, and
    does nothing where the package tensorboard is missing.
    """

    def __init__(self, history: History, folder: Path) -> None:
        self._history, self._folder = history, folder
        self._writer: Any = None
        self._written = 0

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Begin anew, with the rows that there are."""
        if not trainer.is_global_zero:
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            log.info("no TensorBoard logs are written: the package tensorboard is not installed")
            return
        self._writer = SummaryWriter(self._folder)
        self._write_new_rows()

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Write the epoch's row."""
        self._write_new_rows()

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Close the file."""
        if self._writer:
            self._writer.close()

    def publish(self, folder: Path) -> None:
        """Copy the event files, if there are any, into a new folder."""
        if self._folder.exists():
            shutil.copytree(self._folder, folder)

    def _write_new_rows(self) -> None:
        rows = self._history.rows[self._written :]
        if not self._writer or not rows:
            return
        began = time.time() - rows[-1]["seconds"]  # so that TensorBoard's clock shows the time that training took
        try:
            for row in rows:
                for column, value in row.items():
                    if value is not None and column not in ("step", "seconds"):
                        self._writer.add_scalar(column, value, row["step"], walltime=began + row["seconds"])
            self._writer.flush()
        except OSError as error:
            raise_if_full(error, self._folder)
            raise
        self._written += len(rows)
