from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from simclr_steps.data.packed import read_description
from simclr_steps.data.several_splits import several_splits
from simclr_steps.files import write_json
from tests.unit.conftest import WritePacked


def test_rows_of_the_named_splits_are_joined_in_the_order_of_the_arrays(
    write_packed: WritePacked, tmp_path: Path
) -> None:
    description = read_description(write_packed())
    values = np.random.default_rng(0).normal(size=(3, 4, 2)).astype(np.float32)
    for array, split in zip(values, ("train", "validation", "test"), strict=True):
        folder = tmp_path / split
        folder.mkdir()
        np.save(folder / "backbone.npy", array)
        table = {"row": range(4), "source": split, "label": pd.array([0, None, 1, None], dtype="Int64")}
        pd.DataFrame(table).assign(**{"class": "c"}).to_parquet(folder / "rows.parquet")
        write_json(folder / "run.json", {"split": split, "model_hash": "m", "run": {"data_hash": "pixels-of-data"}})
    both = several_splits(tmp_path, tmp_path, description, ["test", "unlabeled"], must=True)
    assert both.table["split"].tolist() == ["unlabeled"] * 2 + ["test"] * 4
    assert both.array().tolist() == ["train"] * 2 + ["test"] * 4
    assert both.table["row"].tolist() == [1, 3, 0, 1, 2, 3]
    np.testing.assert_array_equal(both.features(), np.concatenate([values[0, [1, 3]], values[2]]))
    assert (both.labels == -1).all() and both.table["class"].isna().tolist() == [False] * 2 + [True] * 4
    train = several_splits(tmp_path, tmp_path, description, ["train"], must=True)
    assert train.labels.tolist() == [0, 1] and train.table["row"].tolist() == [0, 2]
