"""Arrays tell of their images, and none is loaded for that."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from simclr_steps.data import array_listing
from simclr_steps.data.array_listing import list_arrays
from simclr_steps.data.stored_arrays import StoredArray, open_arrays
from simclr_steps.settings.datasets import ArraysDataset


def test_arrays_tell_labels_and_groups_and_no_image_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = {"train_images": (3, 8, 9), "test_images": (2, 8, 9)}
    images = {name: np.zeros(shape, np.uint16) for name, shape in shapes.items()}
    known = {"train_labels": np.array([0, 1, -1]), "test_labels": np.array([1, 0])}
    groups = {"train_groups": np.array(["a", "b", "b"]), "test_groups": np.array(["c", "d"])}
    arrays: dict[str, Any] = {**images, **known, **groups}
    np.savez(tmp_path / "a.npz", **arrays)

    def fail() -> NoReturn:
        raise AssertionError("an array of images is loaded")

    def opened(path: Path) -> dict[str, StoredArray]:
        stored = open_arrays(path)
        return stored | {name: StoredArray(name, stored[name].shape, stored[name].dtype, fail) for name in shapes}

    monkeypatch.setattr(array_listing, "open_arrays", opened)
    listing = list_arrays(ArraysDataset(source="arrays", path=str(tmp_path / "a.npz")))
    assert (listing.classes, listing.labels.tolist()) == (["0", "1"], [0, 1, -1, 1, 0])
    assert listing.splits.tolist() == ["train"] * 3 + ["test"] * 2
    assert listing.names == ["train/0", "train/1", "train/2", "test/0", "test/1"]
    assert listing.groups is not None and listing.groups.tolist() == ["a", "b", "b", "c", "d"]
    assert (listing.shape, listing.dtype) == ((8, 9, 1), "uint16")
