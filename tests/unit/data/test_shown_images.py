from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simclr_steps.data.packed import read_description, read_images
from simclr_steps.data.shown_images import shown_images
from simclr_steps.files import write_json
from simclr_steps.machine.errors import UserError
from simclr_steps.steps.tabulate import tabulate
from tests.unit.conftest import WritePacked, digits

LAYERS = ("backbone", "projection_head")


@pytest.fixture
def data(write_packed: WritePacked) -> Path:
    """Return a data set with 5 unlabeled images among those of train."""
    splits = {"train": digits(7), "validation": digits(3, 30), "test": digits(6, 260)}
    return write_packed({**splits, "unlabeled": (digits(5, 50)[0], np.full(5, -1))})


def gathered(folder: Path, data: Path, split: str, model: str = "m") -> Path:
    """Write what gather and tabulate write of a split: its features are the pixels."""
    folder.mkdir()
    for layer in LAYERS:
        images = read_images(data, split)
        np.save(folder / f"{layer}.npy", images.reshape(len(images), -1).astype(np.float32))
    record = {"split": split, "kind": "encoder", "model_hash": model, "run": {"data_hash": "pixels-of-data"}}
    write_json(folder / "run.json", record)
    tabulate(folder, data=data, split=split, out=folder)
    return folder


def test_each_image_of_several_splits_has_its_own_features_and_pixels(data: Path, tmp_path: Path) -> None:
    folders = [gathered(tmp_path / split, data, split) for split in ("train", "validation", "test")]
    shown = shown_images(folders, data, read_description(data))
    assert shown.table["split"].value_counts().to_dict() == {"train": 7, "unlabeled": 5, "validation": 3, "test": 6}
    assert shown.name == "train, validation and test splits"
    rows = np.array([20, 0, 11, 13])
    pixels = np.concatenate([read_images(data, split) for split in ("train", "validation", "test")])[rows]
    np.testing.assert_array_equal(shown.images(rows), pixels)
    np.testing.assert_array_equal(shown.features("backbone", rows), pixels.reshape(4, -1))


def test_unlabeled_images_are_shown_by_the_features_that_tabulate_took(data: Path, tmp_path: Path) -> None:
    train = gathered(tmp_path / "train", data, "train")
    tabulate(train, data=data, split="unlabeled", out=tmp_path / "unlabeled")
    shown = shown_images([tmp_path / "unlabeled"], data, read_description(data))
    assert (len(shown), shown.name, set(shown.labels)) == (5, "unlabeled images", {-1})
    np.testing.assert_array_equal(shown.images(np.arange(5)), digits(5, 50)[0])
    np.testing.assert_array_equal(shown.features("backbone", np.array([4]))[0], digits(5, 50)[0][4].ravel())


def test_unlabeled_features_that_were_taken_by_other_labels_are_refused(data: Path, tmp_path: Path) -> None:
    tabulate(gathered(tmp_path / "train", data, "train"), data=data, split="unlabeled", out=tmp_path / "unlabeled")
    relabeled = read_description(data).model_copy(update={"content_hash": "other"})
    with pytest.raises(UserError, match="computed from data other than"):
        shown_images([tmp_path / "unlabeled"], data, relabeled)


def test_features_of_different_encoders_are_not_shown_together(data: Path, tmp_path: Path) -> None:
    folders = [gathered(tmp_path / split, data, split, split) for split in ("train", "test")]
    with pytest.raises(UserError, match="hold features of different encoders"):
        shown_images(folders, data, read_description(data))


def test_a_table_of_other_rows_is_refused(data: Path, tmp_path: Path) -> None:
    folder = gathered(tmp_path / "test", data, "test")
    pd.read_parquet(folder / "rows.parquet")[:2].to_parquet(folder / "rows.parquet")
    with pytest.raises(UserError, match="does not match the features"):
        shown_images([folder], data, read_description(data))
