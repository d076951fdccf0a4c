"""Choose one candidate of a pretraining and write its encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from simclr_steps.data.packed import NO_LABEL, read_description, read_split
from simclr_steps.evaluation.neighbors import knn_accuracy
from simclr_steps.files import read_json, read_table, write_json
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.machine.options import Hardware
from simclr_steps.machine.provenance import Record
from simclr_steps.methods.candidates import read_candidate
from simclr_steps.networks.encoders import save_network
from simclr_steps.networks.features import compute_features
from simclr_steps.settings.selection import SelectionSettings


def select(settings: SelectionSettings, *, candidates: Path, data: Path, out: Path, hardware: Hardware) -> None:
    """Choose a candidate by the criterion and write encoder.safetensors and selection.json into `out`.

    Reads only the train and validation splits, and only for the criterion "knn". Raises UserError when the
    criterion needs a hold-out, its labels or its effective rank, and there is none.
    """
    description = read_description(data)
    record = Record("select", settings, description.content_hash, read_json(candidates / "run.json")["seed"])
    table = [_row(row) for row in read_table(candidates / "checkpoints.csv")]
    if settings.criterion == "knn":
        device = hardware.claim().device
        for row in table:
            row["knn_accuracy"] = _hold_out_accuracy(candidates / row["file"], data, settings.knn_neighbors, device)
    chosen, why = _choose(settings, table)
    _, encoder = read_candidate(candidates / chosen["file"])
    save_network(out / "encoder.safetensors", encoder)
    write_json(
        out / "selection.json",
        {
            "criterion": settings.criterion,
            "chosen": chosen["file"],
            "epoch": chosen["epoch"],
            "why": why,
            "candidates": table,
            "run": record.finish(),
        },
    )
    log.info("chose %s of epoch %d: %s", chosen["file"], chosen["epoch"], why)


def _row(row: dict[str, str]) -> dict[str, Any]:
    """Return a row of checkpoints.csv with its numbers; None is what was not measured."""
    counts = {"epoch": int(row.pop("epoch")), "step": int(row.pop("step"))}
    return {"file": row.pop("file"), **counts, **{name: float(cell) if cell else None for name, cell in row.items()}}


def _choose(settings: SelectionSettings, table: list[dict[str, Any]]) -> tuple[dict[str, Any], str]:
    """Return the chosen row and the reason in words."""
    if settings.criterion == "last":
        return next(row for row in table if row["file"] == "last.ckpt"), "it is the last one"
    if settings.criterion == "knn":
        best = max(table, key=lambda row: row["knn_accuracy"])
        return best, f"its kNN accuracy on the hold-out is the highest, {best['knn_accuracy']:.4f}"
    if settings.criterion == "rankme":
        measured = [row for row in table if row.get("validate_rankme") is not None]
        if not measured:
            raise UserError(
                "selection.criterion: rankme was not measured for any candidate: set the pretraining's monitor_epochs "
                "to 1 or more, with a hold-out of at least two images"
            )
        best = max(measured, key=lambda row: row["validate_rankme"])
        return best, f"its effective rank on the hold-out is the highest, {best['validate_rankme']:.1f}"
    if table[0]["validate_loss"] is None:
        raise UserError(
            'selection.criterion: validate_loss needs a hold-out of at least two images: write "last", or raise '
            "validation_fraction of the data set"
        )
    best = min(table, key=lambda row: row["validate_loss"])
    return best, f"its loss on the hold-out is the lowest, {best['validate_loss']:.4f}"


def _hold_out_accuracy(checkpoint: Path, data: Path, neighbors: int, device: torch.device) -> float:
    """Return the kNN accuracy of a candidate's features on the hold-out, its neighbors from the training split."""
    train, hold_out = read_split(data, "train"), read_split(data, "validation")
    if not (train.labels != NO_LABEL).any() or not (hold_out.labels != NO_LABEL).any():
        raise UserError(
            'selection.criterion: knn needs labels in the training split and the hold-out: write "validate_loss"'
        )
    _, encoder = read_candidate(checkpoint)
    bank, queries = (compute_features(encoder, split.images, device)[0] for split in (train, hold_out))
    return knn_accuracy(bank, train.labels, queries, hold_out.labels, neighbors)
