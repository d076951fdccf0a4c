"""Candidates are the encoders that the hold-out shows to be best, of each quarter and the last."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from simclr_steps.data.packed import read_split
from simclr_steps.files import read_table
from simclr_steps.methods import random_numbers
from simclr_steps.methods.candidate_files import read_candidate
from simclr_steps.methods.loss import nt_xent
from simclr_steps.methods.views import random_views
from tests.unit.pretraining import OWN, SMALL, train


def test_candidates_are_the_best_of_each_kind_the_quarters_and_the_last(tmp_path: Path, data: Path) -> None:
    settings = SMALL.model_copy(update={"encoder": "tests.own_encoders:with_batch_norm", "epochs": 6})
    out = train(tmp_path / "out", data, settings)
    table, rows = read_table(out / "checkpoints.csv"), read_table(out / "history.csv")[1:]
    names = ["best_loss", "best_knn", "best_rankme", "epoch2", "epoch3", "epoch5", "last"]
    assert [row["file"] for row in table] == [f"{name}.ckpt" for name in names]
    best = zip(("validate_loss", "validate_knn_accuracy", "validate_rankme"), (min, max, max), strict=True)
    for row, (column, better) in zip(table, best, strict=False):
        assert float(row[column]) == better(float(epoch[column]) for epoch in rows if epoch[column])
    assert [row["epoch"] for row in table[3:]] == ["2", "3", "5", "6"]
    for row in table:
        assert read_candidate(out / row["file"])[0].epoch == int(row["epoch"])
    inodes = {
        row["epoch"]: {(out / other["file"]).stat().st_ino for other in table if other["epoch"] == row["epoch"]}
        for row in table
    }
    assert all(len(files) == 1 for files in inodes.values())
    assert len(inodes) == len({file for files in inodes.values() for file in files}) < len(names)

    hold_out = torch.from_numpy(read_split(data, "validation").images.copy())
    for name in ("best_loss.ckpt", "best_rankme.ckpt", "epoch3.ckpt"):
        candidate, encoder = read_candidate(out / name)
        total = 0.0
        with torch.no_grad():  # in two batches of 30, from the same views in every epoch
            for rows_ in torch.from_numpy(np.random.default_rng(0).permutation(60)).chunk(2):
                key = random_numbers.keys(0, -1, rows_, 2)
                views = random_views(hold_out[rows_], key, SMALL.augmentation)
                _, projections = encoder.eval()(views.flatten(0, 1))
                total += float(nt_xent(projections.reshape(2, 30, -1), SMALL.temperature)) / 2
        assert candidate.validate_loss == pytest.approx(total, rel=1e-4)


def test_without_a_hold_out_the_quarters_and_the_last_are_the_candidates(
    tmp_path: Path, write_packed: Callable[..., Path]
) -> None:
    full = write_packed(name="full")
    none = (np.zeros((0, 8, 8, 1), np.uint8), np.zeros(0, np.int64))
    split = read_split(full, "train")
    data = write_packed({"train": (split.images, split.labels), "validation": none, "test": none, "unlabeled": none})
    out = train(tmp_path / "out", data, OWN.model_copy(update={"epochs": 2}))
    assert [row["file"] for row in read_table(out / "checkpoints.csv")] == ["epoch1.ckpt", "last.ckpt"]
