"""The history of a training: a row for each epoch, and what is said meanwhile."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor

from simclr_steps.durations import duration, per_second
from simclr_steps.machine.logs import log
from simclr_steps.machine.progress import Bar, Cadence
from simclr_steps.training.distributed import mean_of_all
from simclr_steps.training.module import Trained

# Lines come at these distances first, and then at shares of the time so far: in ten hours fewer than 200.
SPEAK_EVERY_SECONDS, _SPEAK_GROWTH = 5.0, 0.1
_EPOCHS_SPEAK_EVERY_SECONDS, _EPOCHS_SPEAK_GROWTH = 2.0, 0.06
_SPOKEN = {  # what is said of an epoch, if it was measured
    "loss": "loss {:.4f}",
    "accuracy": "accuracy {:.1%}",
    "validate_loss": "hold-out loss {:.4f}",
    "validate_accuracy": "hold-out accuracy {:.1%}",
    "validate_knn_accuracy": "hold-out kNN {:.1%}",
    "learning_rate": "learning rate {:.2e}",
}


class History(L.Callback):
    """Keeps one row for each epoch and says how far the training is.

    A row holds epoch (from 1), step, the means over the epoch's batches of what the training step returned, what
    the module's `validate` returned (None is what was not measured), learning_rate, images_per_second while training,
    and the seconds of the whole training so far. With `from_start` it begins with a row of epoch 0: what `validate`
    returned before the first step, without a loss and a pace.
    """

    def __init__(self, module: Trained, *, from_start: bool = False) -> None:
        self._module, self._from_start = module, from_start
        self.rows: list[dict[str, Any]] = []
        self._sums: dict[str, Tensor] = {}
        self._seconds = self._epoch_began = 0.0
        self._learning_rate = 0.0
        self._first_step = 0
        self._start_clocks()

    def _start_clocks(self) -> None:
        self._clock = time.monotonic()
        self._lines = Cadence(SPEAK_EVERY_SECONDS, _SPEAK_GROWTH)
        self._lines_of_epochs = Cadence(_EPOCHS_SPEAK_EVERY_SECONDS, _EPOCHS_SPEAK_GROWTH, at_once=True)
        self._bar = Bar()

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training needs; every process calls it, and what one returns is for all."""
        sums = {name: mean_of_all(total) for name, total in self._sums.items()}
        times = {"seconds": self._seconds_so_far(), "epoch_began": self._epoch_began}
        return {"rows": self.rows, "sums": sums, **times}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state, with as many processes as there are now: each takes their mean for its own sums."""
        self.rows, self._sums = state["rows"], state["sums"]
        self._seconds, self._epoch_began = state["seconds"], state["epoch_began"]

    def _seconds_so_far(self) -> float:
        return self._seconds + time.monotonic() - self._clock

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Start the clock, and judge what the training starts from."""
        self._start_clocks()
        self._first_step = trainer.global_step
        if self._from_start and not self.rows:
            measured = self._measured()
            log.info("%s", ", ".join(["before the first step", *_facts(measured)]))
            self._append(0, 0, {"loss": None}, measured, learning_rate=None, images_per_second=None)
            self._seconds, self._clock = self._epoch_began, time.monotonic()  # no step took that long

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
        is_line = self._lines.is_due()
        if is_line or self._bar.is_due():
            pace = self._pace(trainer)
            now = {"loss": float(outputs["loss"]), "images_per_second": self._module.images_per_step / pace}
            self._speak(trainer, f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}", now, in_passing=not is_line)

    def _pace(self, trainer: L.Trainer) -> float:
        """Return the seconds that a step takes, with all that happens between steps."""
        return (time.monotonic() - self._clock) / max(1, trainer.global_step - self._first_step)

    def _speak(self, trainer: L.Trainer, what: str, row: Mapping[str, Any], *, in_passing: bool = False) -> None:
        steps = self._module.steps_per_epoch * (trainer.max_epochs or 0)
        left = duration((steps - trainer.global_step) * self._pace(trainer))
        text = ", ".join([what, *_facts(row), f"{per_second(row['images_per_second'])} images/s", f"{left} left"])
        self._bar.tell(trainer.global_step / steps, text, in_passing=in_passing)
        if not in_passing:
            self._lines.note()

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Close the epoch's row and say what is in it, unless the last such line was just said."""
        steps = self._module.steps_per_epoch
        means = {name: float(mean_of_all(total)) / steps for name, total in self._sums.items()}
        self._sums = {}
        epoch = trainer.current_epoch + 1
        trained = self._seconds_so_far() - self._epoch_began
        rate = steps * self._module.images_per_step / max(trained, 1e-9)
        measured = self._measured()
        self._append(
            epoch,
            trainer.global_step,
            means,
            measured,
            learning_rate=self._learning_rate,
            images_per_second=float(f"{rate:.6g}"),
        )
        if self._lines_of_epochs.is_due() or epoch == trainer.max_epochs:
            self._speak(trainer, f"after epoch {epoch}/{trainer.max_epochs}", self.rows[-1])
            self._lines_of_epochs.note()

    def _measured(self) -> Mapping[str, float | None]:
        with torch.compiler.set_stance("force_eager"):  # to compile for evaluation, too, would not pay
            return self._module.validate()

    def _append(
        self, epoch: int, step: int, means: Mapping[str, Any], measured: Mapping[str, Any], **pace: float | None
    ) -> None:
        self._epoch_began = self._seconds_so_far()
        seconds = {"seconds": round(self._epoch_began, 3)}
        self.rows.append({"epoch": epoch, "step": step, **means, **measured, **pace, **seconds})


def _facts(row: Mapping[str, Any]) -> list[str]:
    """Return what is said of an epoch."""
    return [text.format(row[name]) for name, text in _SPOKEN.items() if row.get(name) is not None]
