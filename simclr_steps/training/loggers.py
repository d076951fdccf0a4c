"""A training's history as others read it while it grows: TensorBoard, a CSV file, and a logger of the user's own."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger

from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.machine.threads import quiet_threads
from simclr_steps.training.history import History

_TENSORBOARD, _CSV, _OWN = "TensorBoard", "CSV", "--logger"
_TENSORBOARD_FOLDER = "tensorboard"
OF_TENSORBOARD = ("events.out.tfevents.*", "hparams.yaml")  # the files that it reads, as patterns
Row = Mapping[str, Any]


class Loggers(L.Callback):
    """Passes the rows of a history on to loggers of Lightning. It must stand behind the history among the callbacks.

    Every column is a metric over the updates made so far. A resumed training begins TensorBoard's folder and the CSV
    file anew with all rows, so that none is doubled or missing. The user's own logger gets those that are new: one that
    a killed training had not saved comes again, with the same values. A logger that fails gets no more rows, and never
    ends a training.

    Parameters
    ----------
    folder
        Gets the folders tensorboard and csv.
    hyperparameters
        What the loggers are told before the first row.
    own
        Makes the user's own logger.
    """

    def __init__(
        self,
        history: History,
        folder: Path,
        hyperparameters: Mapping[str, Any],
        own: Callable[[], Any] | None = None,
    ) -> None:
        self._history, self._hyperparameters, self._own = history, dict(hyperparameters), own
        self._tensorboard, self._csv = folder / _TENSORBOARD_FOLDER, folder / "csv"
        self._loggers: dict[str, Logger] = {}
        self._logged = 0
        self._open = ExitStack()

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Make the loggers, and log the existing rows.

        Raises
        ------
        UserError
            When the user's own function fails, or returns no logger.
        """
        if not trainer.is_global_zero:
            return
        self._open.enter_context(quiet_threads(_is_of_tensorboard))
        rows = self._history.rows
        self._logged = len(rows)
        if self._own:
            self._loggers[_OWN] = logger = self._own()
            if not isinstance(logger, Logger):
                raise UserError(f"{_OWN}: it returned {type(logger).__name__}: return a logger of Lightning")
            with self._kept_up(_OWN):
                logger.log_hyperparams(self._hyperparameters)
            if not trainer.global_step:
                self._log(_OWN, rows)
        self._begin_tensorboard(rows)
        with self._kept_up(_CSV):
            shutil.rmtree(self._csv, ignore_errors=True)
            self._loggers[_CSV] = CSVLogger(self._csv.parent, name="", version=self._csv.name)
            self._loggers[_CSV].log_hyperparams(self._hyperparameters)
            self._log(_CSV, rows)

    def _begin_tensorboard(self, rows: Sequence[Row]) -> None:
        """Write the first rows, if there are any, at the times at which they would have been logged without a break."""
        if not rows:
            return
        with self._kept_up(_TENSORBOARD):
            shutil.rmtree(self._tensorboard, ignore_errors=True)
            logger = TensorBoardLogger(
                self._tensorboard.parent, name="", version=self._tensorboard.name, default_hp_metric=False
            )
            self._loggers[_TENSORBOARD] = logger
            for row in rows[:-1]:
                at = time.time() - rows[-1]["seconds"] + row["seconds"]
                for column, value in _metrics(row).items():
                    logger.experiment.add_scalar(column, value, row["step"], at)
            # With metrics, as TensorBoard shows no hyperparameters without.
            logger.log_hyperparams(self._hyperparameters, _metrics(rows[-1]), rows[-1]["step"])
            logger.save()

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Log the epoch's row."""
        if not trainer.is_global_zero:
            return
        rows, others = self._history.rows[self._logged :], list(self._loggers)
        if not self._logged:
            self._begin_tensorboard(rows)
        self._logged += len(rows)
        for name in others:
            self._log(name, rows)

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Have the loggers write what they still hold."""
        self._close("success")

    def on_exception(self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException) -> None:
        """Do the same when the training fails or is left."""
        self._close("failed")

    def _log(self, name: str, rows: Sequence[Row]) -> None:
        with self._kept_up(name):
            for row in rows:
                self._loggers[name].log_metrics(_metrics(row), row["step"])
            self._loggers[name].save()

    def _close(self, status: str) -> None:
        for name, logger in list(self._loggers.items()):
            with self._kept_up(name):
                logger.finalize(status)
        self._loggers = {}
        self._open.close()

    @contextmanager
    def _kept_up(self, name: str) -> Iterator[None]:
        """Give a logger up, and say so, when it fails in the block."""
        try:
            yield
        except Exception as error:
            cause = error.__cause__ or error  # what a logger makes of a full disk differs
            if isinstance(cause, ImportError) and name != _OWN:
                log.info("nothing is logged for %s because its package is not installed", name)
            else:
                reason = (isinstance(cause, OSError) and cause.strerror) or f"{type(cause).__name__}: {cause}"
                log.warning("warning: nothing more is logged for %s (%s)", name, reason)
            logger = self._loggers.pop(name, None)
            with suppress(Exception):
                if logger:
                    logger.finalize("failed")


def publish(work: Path, folder: Path) -> None:
    """Copy what TensorBoard reads, if there is anything, from the folder of Loggers into a new one."""
    if any((work / _TENSORBOARD_FOLDER).glob("*")):
        shutil.copytree(work / _TENSORBOARD_FOLDER, folder, copy_function=shutil.copyfile)


def _metrics(row: Row) -> dict[str, float]:
    """Return what was measured at a row's step."""
    return {column: value for column, value in row.items() if value is not None and column not in ("step", "seconds")}


def _is_of_tensorboard(failed: threading.ExceptHookArgs) -> bool:
    """Return whether TensorBoard's thread failed, after which the next call tells what of."""
    return type(failed.thread).__module__.startswith("tensorboard.")
