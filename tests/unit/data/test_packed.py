"""A packed data set is read without its images, and what is wrong with it is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from simclr_steps.data.packed import read_description, read_rows, read_split
from simclr_steps.machine.errors import UserError
from tests.unit.conftest import WritePacked, deep_digits, digits

SPLITS = {"train": 200, "validation": 60, "test": 60, "unlabeled": 0}


def test_split_is_mapped_from_its_files(write_packed: WritePacked) -> None:
    folder = write_packed()
    split = read_split(folder, "validation")
    images, labels = digits(60, 200)
    assert len(split) == 60 and isinstance(split.images, np.memmap)
    np.testing.assert_array_equal(split.images, images)
    np.testing.assert_array_equal(split.labels, labels)
    assert read_description(folder).splits["validation"].images == 60


def test_split_of_16_bits_keeps_every_one(write_packed: WritePacked) -> None:
    folder = write_packed({split: deep_digits(9, channels=5) for split in ("train", "validation")})
    split = read_split(folder, "train")
    assert split.images.dtype == np.uint16
    np.testing.assert_array_equal(split.images, deep_digits(9, channels=5)[0])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def pickled(path: Path) -> None:
    np.save(path, np.array([{"an": "object"}]), allow_pickle=True)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (Path.unlink, r"test\.images\.npy does not exist: run prepare"),
        (cut, r"test\.images\.npy is damaged .*: delete it and run prepare again"),
        (pickled, r"test\.images\.npy is damaged .*: delete it and run prepare again"),
        (lambda path: np.save(path, digits(59)[0]), r"test\.images\.npy does not match its labels: run label again"),
        (
            lambda path: np.save(path, np.zeros((60, 8, 8, 1))),
            r"test\.images\.npy does not match images\.json: run prep",
        ),
        (lambda path: np.save(path, deep_digits(60)[0]), r"images\.npy does not match images\.json"),
        (lambda path: np.save(path, digits(60)[0].repeat(2, axis=3)), r"images\.npy does not match images\.json"),
    ],
)
def test_wrong_images_are_named(damage: Any, sentence: str, write_packed: WritePacked) -> None:
    folder = write_packed()
    damage(folder / "test.images.npy")
    with pytest.raises(UserError, match=sentence):
        read_split(folder, "test")
    assert len(read_split(folder, "train")) == 200


def test_description_of_another_version_is_named(write_packed: WritePacked) -> None:
    file = write_packed() / "dataset.json"
    content = json.loads(file.read_text())
    del content["image_format"]["mean"]
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"dataset\.json is not a valid data set description: run label again"):
        read_description(file.parent)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (Path.unlink, r"does not exist: run label again"),
        (cut, r"is damaged .*: delete it and run label again"),
        (
            lambda path: pd.read_parquet(path).drop(columns="group").to_parquet(path),
            r"has no group column: run label",
        ),
        (
            lambda path: pd.read_parquet(path)[:-1].to_parquet(path),
            r"does not match the images of its split: run label",
        ),
    ],
)
def test_a_wrong_table_of_rows_is_named(damage: Any, sentence: str, write_packed: WritePacked) -> None:
    folder = write_packed(groups={split: ["a", "b"] * (n // 2) for split, n in SPLITS.items()})
    description = read_description(folder)
    assert read_rows(folder, description, "test")["source"].tolist()[:2] == ["test/0.png", "test/1.png"]
    damage(folder / "test.rows.parquet")
    with pytest.raises(UserError, match=rf"test\.rows\.parquet {sentence}"):
        read_rows(folder, description, "test")
