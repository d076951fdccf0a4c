"""Choose one candidate of a pretraining and write its encoder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from simclr_steps.data.groups import by_group
from simclr_steps.data.packed import read_description, read_groups, read_packed, read_split
from simclr_steps.data.requirements import has_labels_to_vote, require_hold_out, require_labels_to_vote
from simclr_steps.data.splits import labeled_rows
from simclr_steps.evaluation.neighbors import knn_right
from simclr_steps.files import read_json, read_table, require_intact, write_json
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.machine.options import Hardware
from simclr_steps.machine.provenance import Record
from simclr_steps.methods.candidate_files import read_candidate
from simclr_steps.networks.encoders import save_network
from simclr_steps.networks.features import compute_features
from simclr_steps.settings.selection import SelectionSettings

_MEASURES: dict[str, tuple[str, Callable[..., dict[str, Any]], str]] = {  # by criterion: column, what is best, reason
    "validate_loss": ("validate_loss", min, "its loss on the hold-out is the lowest, {:.4f}"),
    "knn": ("knn_accuracy", max, "its kNN accuracy on the hold-out is the highest, {:.4f} (n = {:,})"),
    "rankme": ("validate_rankme", max, "its effective rank on the hold-out is the highest, {:.1f}"),
}


def select(settings: SelectionSettings, *, candidates: Path, data: Path, out: Path, hardware: Hardware) -> None:
    """Choose a candidate by the criterion and write encoder.safetensors and selection.json into `out`.

    Reads the train and validation splits and their labels, and only for the criterion "knn", which "auto" is for a
    pretraining from given weights where there are labels: their features may be better than those of the last epoch,
    and the loss before the first step is that of a random projection head.

    Raises
    ------
    UserError
        When the criterion needs a hold-out, its labels or its effective rank, and there is none; or when a file of the
        pretraining is damaged.
    """
    packed = read_packed(data)
    require_hold_out(packed.images["validation"], data.name, settings.criterion)
    if settings.criterion == "knn":
        require_labels_to_vote(read_description(data), data.name, settings.criterion)
    for name in ("run.json", "checkpoints.csv"):
        require_intact(candidates / name, "pretrain")
    trained = read_json(candidates / "run.json")
    criterion, data_hash = settings.criterion, packed.pixel_hash
    if criterion == "knn" or (criterion == "auto" and (trained.get("architecture") or {}).get("started_from")):
        description = read_description(data)
        criterion = "knn" if has_labels_to_vote(description) else "validate_loss"
        data_hash = description.content_hash
    elif criterion == "auto":
        criterion = "validate_loss"
    record = Record("select", settings, data_hash, trained["seed"])
    table = [_row(row) for row in read_table(candidates / "checkpoints.csv")]
    if criterion == "knn":
        device = hardware.claim().device
        of_epochs: dict[int, dict[str, Any]] = {}  # a candidate may have several names
        for row in table:
            if row["epoch"] not in of_epochs:
                file = candidates / row["file"]
                of_epochs[row["epoch"]] = _hold_out_accuracy(file, data, settings.knn_neighbors, device)
            row |= of_epochs[row["epoch"]]
    chosen, why = _choose(criterion, table)
    for row in table:
        if row is not chosen:
            row.pop("by_group", None)  # which may be as long as there are groups
    _, encoder = read_candidate(candidates / chosen["file"])
    save_network(out / "encoder.safetensors", encoder)
    write_json(
        out / "selection.json",
        {
            "criterion": criterion,
            "chosen": chosen["file"],
            "epoch": chosen["epoch"],
            "why": why,
            "candidates": table,
            "run": record.finish() | encoder.architecture.origin,
        },
    )
    log.info("chose %s of epoch %d: %s", chosen["file"], chosen["epoch"], why)


def _row(row: dict[str, str]) -> dict[str, Any]:
    """Return a row of checkpoints.csv with its numbers; None is what was not measured."""
    counts = {"epoch": int(row.pop("epoch")), "step": int(row.pop("step"))}
    return {"file": row.pop("file"), **counts, **{name: float(cell) if cell else None for name, cell in row.items()}}


def _choose(criterion: str, table: list[dict[str, Any]]) -> tuple[dict[str, Any], str]:
    """Return the chosen row and the reason in words.

    Of equally good rows it is that of epoch 0, as no gain of the training is shown, or else the first.
    """
    if criterion == "last":
        return next(row for row in table if row["file"] == "last.ckpt"), "it is the last one"
    column, best, reason = _MEASURES[criterion]
    measured = sorted((row for row in table if row.get(column) is not None), key=lambda row: row["epoch"] > 0)
    if not measured:
        raise UserError(
            f"selection.criterion: {criterion} was not measured for any candidate: set the pretraining's "
            "monitor_epochs to 1 or more, and run pretrain again on the same data"
        )
    chosen = best(measured, key=lambda row: row[column])
    is_tie = any(row[column] == chosen[column] for row in measured if row["epoch"] != chosen["epoch"])
    shared = ", as that of others" if is_tie else ""
    return chosen, reason.format(chosen[column], chosen.get("images")) + shared


def _hold_out_accuracy(checkpoint: Path, data: Path, neighbors: int, device: torch.device) -> dict[str, Any]:
    """Return the kNN accuracy of a candidate's features on the hold-out, its neighbors from the training split.

    Beside it is the number of images that it is of and, if images have groups, how many of each are right.
    """
    splits = read_split(data, "train"), read_split(data, "validation")
    _, encoder = read_candidate(checkpoint)
    rows = [labeled_rows(split.labels) for split in splits]
    bank, queries = (
        compute_features(encoder, split.images, device, rows=some)[0] for split, some in zip(splits, rows, strict=True)
    )
    known, expected = (split.labels[some] for split, some in zip(splits, rows, strict=True))
    right = knn_right(bank, known, queries, expected, neighbors)
    groups = read_groups(data, read_description(data), "validation")
    of_groups = by_group(None if groups is None else groups[rows[1]], knn_accuracy=right)
    return {"knn_accuracy": float(np.mean(right)), "images": len(right), **of_groups}
