"""A training's history as TensorBoard reads it, while it grows."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as L

from simclr_steps.machine.logs import log
from simclr_steps.training.history import History


class TensorBoard(L.Callback):
    """Writes each row of a history into an event file; a resumed training writes all its rows anew, so none is doubled.

    Every column is a scalar over the updates made so far. It must stand behind the history among the callbacks, and
    does nothing if the package tensorboard is missing or the disk is full: it never ends a training.
    """

    def __init__(self, history: History, folder: Path) -> None:
        self._history, self._folder = history, folder
        self._writer: Any = None
        self._written = 0

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Start over with the existing rows."""
        if not trainer.is_global_zero:
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        try:
            from tensorboard.summary.writer.record_writer import RecordWriter
        except ImportError:
            log.info("TensorBoard logs are not written because the package tensorboard is not installed")
            return
        try:
            self._folder.mkdir(parents=True)
            file = self._folder / f"events.out.tfevents.{int(time.time())}"
            self._writer = RecordWriter(file.open("wb"))
            self._write(file_version="brain.Event:2")
        except OSError as error:
            self._give_up(error)
        self._write_new_rows()

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Write the epoch's row."""
        self._write_new_rows()

    def publish(self, folder: Path) -> None:
        """Copy the event file, if there is one, into a new folder."""
        for file in self._folder.glob("*"):
            folder.mkdir(exist_ok=True)
            shutil.copyfile(file, folder / file.name)

    def _write_new_rows(self) -> None:
        rows = self._history.rows[self._written :]
        if not self._writer or not rows:
            return
        began = time.time() - rows[-1]["seconds"]  # so that TensorBoard's clock shows the time that training took
        try:
            for row in rows:
                shown = {k: v for k, v in row.items() if v is not None and k not in ("step", "seconds")}
                values = [{"tag": column, "simple_value": value} for column, value in shown.items()]
                self._write(began + row["seconds"], step=row["step"], summary={"value": values})
            self._writer.flush()
        except OSError as error:
            self._give_up(error)
        self._written += len(rows)

    def _write(self, at: float | None = None, **content: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        event = Event(wall_time=time.time() if at is None else at, **content)
        self._writer.write(event.SerializeToString())

    def _give_up(self, error: OSError) -> None:
        log.warning("warning: no more TensorBoard logs are written (%s: %s)", self._folder, error.strerror)
        self._writer = None
