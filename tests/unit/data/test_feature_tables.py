"""Features of embed and of gather are read with the names of their images and the hash of their encoder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from simclr_steps.data.feature_tables import feature_tables
from simclr_steps.files import write_json
from simclr_steps.machine.errors import UserError

FEATURES = np.arange(12, dtype=np.float32).reshape(4, 3)
NAMES = ["a.png", "b.png", "c.png", "d.png"]


def write_embedded(path: Path, encoder: str = "e1") -> Path:
    """Write a table as embed does."""
    column = pa.FixedSizeListArray.from_arrays(FEATURES.ravel(), 3)
    facts = {"encoder_hash": encoder, "images": str(path.parent)}
    table = pa.table({"path": NAMES, "features": column}).replace_schema_metadata({"simclr": json.dumps(facts)})
    pq.write_table(table, path)
    return path


def write_gathered(folder: Path, split: str, encoder: str = "e1") -> Path:
    """Write a folder as gather and tabulate do."""
    folder.mkdir(parents=True)
    np.save(folder / "backbone.npy", FEATURES)
    rows = [4, 5, 6, 7] if split == "unlabeled" else [0, 1, 2, 3]
    pd.DataFrame({"row": rows, "source": [f"{split}/{name}" for name in NAMES]}).to_parquet(folder / "rows.parquet")
    facts = {"split": split, "model_hash": encoder, "predict": {"data_hash": "pixels-of-data"}}
    write_json(folder / "run.json", facts)
    return folder


def test_a_table_of_embed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simclr_steps.data.feature_tables.ROWS_AT_A_TIME", 3)
    (table,) = feature_tables(write_embedded(tmp_path / "f.parquet"))
    assert (table.encoder_hash, list(table.names), table.images) == ("e1", NAMES, tmp_path)
    blocks = list(table.blocks())
    assert [len(block) for block in blocks] == [3, 1]
    np.testing.assert_array_equal(np.concatenate(blocks), FEATURES)
    assert table.packed_image(tmp_path, 0) is None


def test_all_splits_of_gather_without_what_train_holds_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simclr_steps.data.feature_tables.ROWS_AT_A_TIME", 3)
    for split in ("train", "test", "unlabeled"):
        write_gathered(tmp_path / split, split)
    write_gathered(tmp_path / ".train.partial-1a2b", "train")  # that gather has not finished
    tables = feature_tables(tmp_path)
    assert [table.split for table in tables] == ["test", "train"]
    assert tables[0].names[1] == "test/b.png"
    np.testing.assert_array_equal(np.concatenate(list(tables[1].blocks())), FEATURES)
    (one,) = feature_tables(tmp_path / "unlabeled")
    assert one.split == "unlabeled" and one.rows is not None and list(one.rows) == [4, 5, 6, 7]


def test_pictures_are_the_packed_images_of_the_rows(data: Path, tmp_path: Path) -> None:
    (table,) = feature_tables(write_gathered(tmp_path / "unlabeled", "unlabeled"))
    np.testing.assert_array_equal(table.packed_image(data, 1), np.load(data / "train.images.npy")[5])
    facts = json.loads((tmp_path / "unlabeled" / "run.json").read_text())
    write_json(tmp_path / "unlabeled" / "run.json", facts | {"predict": {"data_hash": "others"}})
    (table,) = feature_tables(tmp_path / "unlabeled")
    with pytest.raises(UserError, match="unlabeled was computed from data other than"):
        table.packed_image(data, 1)


def test_features_of_two_encoders_are_refused(tmp_path: Path) -> None:
    write_embedded(tmp_path / "a.parquet")
    write_embedded(tmp_path / "b.parquet", "e2")
    with pytest.raises(UserError, match="a.parquet and .*b.parquet are of two encoders: give features of one of them"):
        feature_tables(tmp_path)
    write_gathered(tmp_path / "splits" / "test", "test")
    write_gathered(tmp_path / "splits" / "train", "train", "e2")
    with pytest.raises(UserError, match="test and .*train are of two encoders"):
        feature_tables(tmp_path / "splits")


def test_what_holds_no_features_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "cut.parquet").write_bytes(b"PAR1")
    pd.DataFrame({"path": NAMES}).to_parquet(tmp_path / "other.parquet")
    (tmp_path / "f.csv").write_text("path\na.png\n")
    for name, reason in (
        ("none", "--features: .*none does not exist: give what embed or gather wrote"),
        ("empty", "--features: .*empty holds no features"),
        ("cut.parquet", "cut.parquet is damaged or no Parquet file"),
        ("f.csv", "f.csv is damaged or no Parquet file"),
        ("other.parquet", "other.parquet does not say whose features it holds: give a table that embed wrote"),
    ):
        with pytest.raises(UserError, match=reason):
            feature_tables(tmp_path / name)
