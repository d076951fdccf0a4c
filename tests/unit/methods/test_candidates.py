"""Candidates are the encoders that the hold-out shows to be best, of each quarter and the last, whole and readable."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from simclr_steps.data.packed import read_split
from simclr_steps.files import read_table
from simclr_steps.machine.errors import UserError
from simclr_steps.methods import random_numbers
from simclr_steps.methods.candidates import current_candidate, read_candidate, write_candidate, write_candidates
from simclr_steps.methods.loss import nt_xent
from simclr_steps.methods.views import random_views
from simclr_steps.networks.architecture import resolve
from simclr_steps.networks.encoders import Encoder
from simclr_steps.settings.image_format import ImageFormat
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


def test_where_there_are_no_hard_links_equal_candidates_are_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no hard links")

    monkeypatch.setattr("os.link", refuse)
    encoder = Encoder(resolve(SMALL, ImageFormat.of_8_bits((8, 8), 1)))
    candidate = current_candidate(encoder, {"epoch": 1, "step": 5})
    write_candidates(tmp_path, {"best_loss": candidate, "last": candidate}, encoder.architecture)
    assert (tmp_path / "best_loss.ckpt").read_bytes() == (tmp_path / "last.ckpt").read_bytes()


def test_a_checkpoint_that_holds_one_number_as_size_is_read_as_a_square(tmp_path: Path) -> None:
    encoder, file = Encoder(resolve(SMALL, ImageFormat.of_8_bits((8, 8), 1))), tmp_path / "last.ckpt"
    write_candidate(file, current_candidate(encoder, {"epoch": 1, "step": 5}), encoder.architecture)
    content = torch.load(file, weights_only=True)
    content["architecture"] |= {"image_size": 8, "packed_size": 16}
    torch.save(content, file)
    read = read_candidate(file)[1].architecture
    assert (read.image_size, read.packed_size) == ((8, 8), (16, 16))


def test_truncated_checkpoint_is_named(tmp_path: Path) -> None:
    encoder, file = Encoder(resolve(SMALL, ImageFormat.of_8_bits((8, 8), 1))), tmp_path / "last.ckpt"
    write_candidate(file, current_candidate(encoder, {"epoch": 1, "step": 5}), encoder.architecture)
    assert read_candidate(file)[0].step == 5
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(UserError, match="last.ckpt is damaged"):
        read_candidate(file)
