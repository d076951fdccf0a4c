"""What is known of each image is put beside its features, of unlabeled images with the features."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.steps.tabulate import tabulate
from tests.unit.conftest import WritePacked, digits

LABELS = np.array([0, 1, -1, 1, 0, 1, -1])


def features_of(folder: Path, split: str, count: int, data_hash: str = "pixels-of-data") -> Path:
    """Write features whose values tell their row."""
    folder.mkdir()
    values = np.repeat(np.arange(count, dtype=np.float32)[:, None], 3, axis=1)
    for layer in ("backbone", "projection_head"):
        np.save(folder / f"{layer}.npy", values)
    run = {"step": "gather", "data_hash": data_hash}
    (folder / "run.json").write_text(json.dumps({"split": split, "kind": "encoder", "predict": {}, "run": run}))
    return folder


def test_rows_of_a_split_have_source_label_and_class(tmp_path: Path, write_packed: WritePacked) -> None:
    data = write_packed({"test": (digits(7)[0], LABELS)}, classes=("cat", "dog"))
    features = features_of(tmp_path / "features", "test", 7)
    tabulate(features, data=data, split="test", out=features)
    table = pd.read_parquet(features / "rows.parquet")
    assert list(table["row"]) == list(range(7))
    assert list(table["source"]) == [f"test/{row}.png" for row in range(7)]
    assert list(table["label"].fillna(-1)) == LABELS.tolist()
    assert list(table["class"].fillna("none")) == ["cat", "dog", "none", "dog", "cat", "dog", "none"]
    assert (features / "backbone.npy").exists()


@pytest.mark.parametrize("labels", [LABELS, np.full(7, -1), np.zeros(7, dtype=np.int64)])
def test_unlabeled_images_are_taken_from_train_with_their_features(
    labels: np.ndarray, tmp_path: Path, write_packed: WritePacked
) -> None:
    data = write_packed({"train": (digits(7)[0], labels), "unlabeled": digits(0)}, classes=("cat", "dog"))
    features = features_of(tmp_path / "train", "train", 7)
    for _ in range(2):  # the second replaces the first
        tabulate(features, data=data, split="unlabeled", out=tmp_path / "unlabeled")
    expected = [2, 6] if labels is LABELS else []  # all are of train where none has a label
    table = pd.read_parquet(tmp_path / "unlabeled/rows.parquet")
    assert table["row"].tolist() == expected and table["label"].isna().all() and table["class"].isna().all()
    for layer in ("backbone", "projection_head"):
        assert np.load(tmp_path / f"unlabeled/{layer}.npy")[:, 0].tolist() == expected
    told = json.loads((tmp_path / "unlabeled/run.json").read_text())
    assert (told["split"], told["run"]["step"], told["gather"]["step"]) == ("unlabeled", "tabulate", "gather")


def test_the_features_of_train_are_not_replaced_by_those_of_its_unlabeled_images(
    tmp_path: Path, write_packed: WritePacked
) -> None:
    data = write_packed({"train": (digits(7)[0], LABELS), "unlabeled": digits(0)}, classes=("cat", "dog"))
    features = features_of(tmp_path / "train", "train", 7)
    with pytest.raises(UserError, match="--out: .*train is read as well, and would be replaced: give another name"):
        tabulate(features, data=data, split="unlabeled", out=features)
    assert len(np.load(features / "backbone.npy")) == 7


def test_features_of_another_split_or_of_other_images_are_refused(tmp_path: Path, write_packed: WritePacked) -> None:
    data = write_packed()
    with pytest.raises(UserError, match="is not of train: pass that folder"):
        tabulate(features_of(tmp_path / "a", "test", 60), data=data, split="train", out=tmp_path / "a")
    with pytest.raises(UserError, match="was computed from data other than"):
        tabulate(features_of(tmp_path / "b", "test", 60, "other"), data=data, split="test", out=tmp_path / "b")
