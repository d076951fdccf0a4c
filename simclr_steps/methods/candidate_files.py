"""The files of candidates, which `select` chooses from; reading them needs no Lightning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from simclr_steps.files import link_or_copy, require_intact, whole_file
from simclr_steps.machine.errors import UserError
from simclr_steps.networks.architecture import Architecture
from simclr_steps.networks.encoders import Encoder, described_by, load_weights


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
