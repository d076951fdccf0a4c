"""Candidates: the encoders of the epochs with the least validation loss, and of the last epoch."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor

from simclr_steps.files import whole_file
from simclr_steps.machine.errors import UserError
from simclr_steps.networks.architecture import Architecture
from simclr_steps.networks.encoders import Encoder, load_weights
from simclr_steps.training.history import History

RANKS = 3


@dataclass(frozen=True)
class Candidate:
    """The encoder as it was after an epoch."""

    epoch: int  # from 1
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


def read_candidate(path: Path) -> tuple[Candidate, Encoder]:
    """Read a candidate and build its encoder, on the CPU.

    Raises
    ------
    UserError
        When the file is absent, damaged or does not fit the architecture that it names.
    """
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        architecture = Architecture.model_validate(content.pop("architecture"))
        candidate = Candidate(**content)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: run pretrain again") from error
    except (
        RuntimeError,
        OSError,
        EOFError,
        pickle.UnpicklingError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
    ) as error:
        raise UserError(
            f"{path} is damaged or not a checkpoint from pretrain: delete it and run pretrain again"
        ) from error
    architecture.check_own_code(path)
    encoder = Encoder(architecture)
    load_weights(encoder, candidate.weights, path)
    return candidate, encoder


class Candidates(L.Callback):
    """Keeps the best candidates while a training runs; they are saved with it."""

    def __init__(self, history: History, encoder: Encoder) -> None:
        self._history, self._encoder = history, encoder
        self.best: list[Candidate] = []  # the least validation loss first

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training needs."""
        return {"best": [vars(candidate) for candidate in self.best]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.best = [Candidate(**candidate) for candidate in state["best"]]

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Keep the encoder if it is among the best."""
        row = self._history.rows[-1]
        loss = row.get("validate_loss")
        if loss is not None and (len(self.best) < RANKS or loss < (self.best[-1].validate_loss or 0)):
            self.best.append(current_candidate(self._encoder, row))
            self.best = sorted(self.best, key=lambda candidate: candidate.validate_loss or 0)[:RANKS]


def current_candidate(encoder: Encoder, row: dict[str, float]) -> Candidate:
    """Return the encoder as it is now; `row` is the history's of its epoch."""
    weights = {name: tensor.detach().to("cpu", copy=True) for name, tensor in encoder.state_dict().items()}
    return Candidate(int(row["epoch"]), int(row["step"]), row.get("validate_loss"), weights)
