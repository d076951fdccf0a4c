"""Candidates: the encoders of the epochs that the hold-out shows to be best, of each quarter, and of the last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning.pytorch as L

from simclr_steps.methods.candidate_files import Candidate
from simclr_steps.networks.encoders import Encoder
from simclr_steps.training.history import History

_BEST: dict[str, tuple[str, Callable[..., float]]] = {  # by name: the history's column, and which of two is better
    "best_loss": ("validate_loss", min),
    "best_knn": ("validate_knn_accuracy", max),
    "best_rankme": ("validate_rankme", max),
}
_QUARTERS = 4
INITIAL = "initial"  # the encoder before the first step, where it starts from given weights or from another's end
NAMES = (*_BEST, "epoch[0-9]*", INITIAL, "last")  # as patterns


class Candidates(L.Callback):
    """Keeps the candidates while a training runs; they are saved with it.

    With `from_start` the encoder before the first step is one.
    """

    def __init__(self, history: History, encoder: Encoder, epochs: int, *, from_start: bool) -> None:
        self._history, self._encoder, self._from_start = history, encoder, from_start
        self._quarters = {-(-epochs * number // _QUARTERS) for number in range(1, _QUARTERS)} - {epochs}
        self.kept: dict[str, Candidate] = {}  # by name

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training needs."""
        return {"kept": {name: vars(candidate) for name, candidate in self.kept.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.kept = {name: Candidate(**candidate) for name, candidate in state["kept"].items()}

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Keep the encoder that the training starts from."""
        if trainer.global_step == 0 and self._from_start:
            self.kept[INITIAL] = current_candidate(self._encoder, self._history.rows[0])

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Keep the encoder under each name that it deserves."""
        *earlier, row = [row for row in self._history.rows if row["epoch"] > 0]
        names = [name for name, (column, best) in _BEST.items() if _is_best(row, earlier, column, best)]
        names += [f"epoch{row['epoch']}"] if row["epoch"] in self._quarters else []
        if names:
            self.kept |= dict.fromkeys(names, current_candidate(self._encoder, row))

    def with_last(self) -> dict[str, Candidate]:
        """Return the candidates, the best first, and the encoder as it is now as the last."""
        order = [*_BEST, *(f"epoch{number}" for number in sorted(self._quarters)), INITIAL]
        kept = {name: self.kept[name] for name in order if name in self.kept}
        return {**kept, "last": current_candidate(self._encoder, self._history.rows[-1])}


def _is_best(row: dict[str, Any], earlier: list[dict[str, Any]], column: str, best: Callable[..., float]) -> bool:
    """Return whether an epoch is measured in a column, and better there than all before."""
    value = row.get(column)
    others = [other[column] for other in earlier if other.get(column) is not None]
    return value is not None and (not others or (value not in others and best(value, *others) == value))


def current_candidate(encoder: Encoder, row: dict[str, float]) -> Candidate:
    """Return the encoder as it is now; `row` is the history's of its epoch."""
    weights = {name: tensor.detach().to("cpu", copy=True) for name, tensor in encoder.state_dict().items()}
    return Candidate(int(row["epoch"]), int(row["step"]), row.get("validate_loss"), weights)
