"""Candidates: the encoders of the epochs that the hold-out shows to be best, of each quarter, and of the last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor

from simclr_steps.files import link_or_copy, require_intact, whole_file
from simclr_steps.machine.errors import UserError
from simclr_steps.networks.architecture import Architecture
from simclr_steps.networks.encoders import Encoder, described_by, load_weights
from simclr_steps.training.history import History

_BEST: dict[str, tuple[str, Callable[..., float]]] = {  # by name: the history's column, and which of two is better
    "best_loss": ("validate_loss", min),
    "best_knn": ("validate_knn_accuracy", max),
    "best_rankme": ("validate_rankme", max),
}
_QUARTERS = 4
INITIAL = "initial"  # the encoder before the first step, where it starts from given weights or from another's end


@dataclass(frozen=True)
class Candidate:
    """The encoder as it was after an epoch."""

    epoch: int  # from 1; 0 before the first step
    step: int
    validate_loss: float | None  # None without a hold-out
    weights: dict[str, Tensor]  # on the CPU


def write_candidate(path: Path, candidate: Candidate, architecture: Architecture) -> None:
    """Write a candidate as a checkpoint that loads with `weights_only=True`.

    Raises
    ------
    UserError
        When the disk is full.
    """
    with whole_file(path) as partial, partial.open("wb") as stream:  # given a path, torch would hide why it failed
        torch.save({**vars(candidate), "architecture": architecture.model_dump(mode="json")}, stream)


def write_candidates(folder: Path, candidates: Mapping[str, Candidate], architecture: Architecture) -> None:
    """Write candidates by their names; those of one epoch are one file, if the file system has hard links.

    Raises
    ------
    UserError
        When the disk is full.
    """
    written: dict[int, Path] = {}
    for name, candidate in candidates.items():
        path = folder / f"{name}.ckpt"
        first = written.setdefault(candidate.epoch, path)
        if first == path:
            write_candidate(path, candidate, architecture)
        else:
            link_or_copy(first, path)


def read_candidate(path: Path) -> tuple[Candidate, Encoder]:
    """Read a candidate and build its encoder, on the CPU.

    Raises
    ------
    UserError
        When the file is absent, damaged, does not fit the architecture that it names, or holds weights that are not
        finite.
    """
    require_intact(path, "pretrain")
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        architecture = Architecture.model_validate(content.pop("architecture"))
        candidate = Candidate(**content)
        weights = dict(candidate.weights)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: run pretrain again") from error
    except Exception as error:  # a damaged file can make torch fail in any way
        raise UserError(
            f"{path} is damaged or not a checkpoint from pretrain: delete its folder and run pretrain again"
        ) from error
    architecture.check_own_code(path)
    with described_by(path):
        encoder = Encoder(architecture)
    load_weights(encoder, weights, path)
    return candidate, encoder


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
