"""Features of embed and of gather are read with the names of their images and the hash of their encoder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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
    blocks = list(table.blocks(3))
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
    np.testing.assert_array_equal(np.concatenate(list(tables[1].blocks(3))), FEATURES)
    (one,) = feature_tables(tmp_path / "unlabeled")
    assert one.split == "unlabeled" and one.rows is not None and list(one.rows) == [4, 5, 6, 7]


def test_pictures_are_the_packed_images_of_the_rows(data: Path, tmp_path: Path) -> None:
    (table,) = feature_tables(write_gathered(tmp_path / "unlabeled", "unlabeled"))
    np.testing.assert_array_equal(table.packed_image(data, 1), np.load(data / "train.images.npy")[5])
    facts = json.loads((tmp_path / "unlabeled" / "run.json").read_text())
    write_json(tmp_path / "unlabeled" / "run.json", facts | {"predict": {"data_hash": "others"}})
    (table,) = feature_tables(tmp_path / "unlabeled")
    with pytest.raises(UserError, match="unlabeled was computed from data other than"):
        table.check_data(data)


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


def test_features_that_are_damaged_are_named_and_never_move_to_another_row(tmp_path: Path) -> None:
    facts = {"simclr": json.dumps({"encoder_hash": "e1", "images": "photos"})}
    rows = FEATURES.tolist()
    holed = [rows[0], rows[1], [6.0, None, 8.0], rows[3]]
    not_finite = [*rows[:3], [0.0, np.nan, 0.0]]
    for features, reason in (
        ([rows[0], None, *rows[2:]], "does not have the encoder's 3 features of each image: run embed again"),
        ([rows[0], [*rows[1], 0.0], rows[2][:2], rows[3]], "does not have the encoder's 3 features of each image"),
        (holed, "does not have the encoder's 3 features of each image"),
        ([1.0, 2.0, 3.0, 4.0], "is damaged .*: run embed again"),
        (not_finite, r"the features of row 3 \(d.png\) are not finite: remove this image"),
    ):
        pq.write_table(pa.table({"path": NAMES, "features": features}).replace_schema_metadata(facts), tmp_path / "f")
        (table,) = feature_tables(tmp_path / "f")
        with pytest.raises(UserError, match=f"f.* {reason}"):
            list(table.blocks(3))
    pq.write_table(pa.table({"path": NAMES}).replace_schema_metadata(facts), tmp_path / "f")
    with pytest.raises(UserError, match="f is damaged"):
        list(feature_tables(tmp_path / "f")[0].blocks(3))
    file = write_embedded(tmp_path / "cut.parquet")
    content = bytearray(file.read_bytes())
    content[4:60] = bytes(56)  # of the first column; the footer is whole
    file.write_bytes(content)
    with pytest.raises(UserError, match="cut.parquet is damaged"):
        list(feature_tables(file)[0].blocks(3))
    (split,) = feature_tables(write_gathered(tmp_path / "test", "test"))
    with pytest.raises(UserError, match="test does not have the encoder's 5 features of each image: run gather again"):
        list(split.blocks(5))


@pytest.mark.parametrize("facts", [None, [], "text", {"encoder_hash": "e1"}, {"encoder_hash": "e1", "images": 3}])
def test_facts_that_are_none_are_told(facts: Any, tmp_path: Path) -> None:
    table = pa.table({"path": NAMES}).replace_schema_metadata({"simclr": json.dumps(facts)})
    pq.write_table(table, tmp_path / "f.parquet")
    with pytest.raises(UserError, match="f.parquet does not say whose features it holds: give a table that embed"):
        feature_tables(tmp_path)
    write_json(write_gathered(tmp_path / "test", "test") / "run.json", facts)
    with pytest.raises(UserError, match="test does not say whose features it holds: run gather and tabulate again"):
        feature_tables(tmp_path / "test")


def test_a_row_without_a_path_is_named(tmp_path: Path) -> None:
    facts = {"simclr": json.dumps({"encoder_hash": "e1", "images": "photos"})}
    pq.write_table(pa.table({"path": ["a", None]}).replace_schema_metadata(facts), tmp_path / "f.parquet")
    with pytest.raises(UserError, match="f.parquet has no path in row 1: give a table that embed wrote"):
        feature_tables(tmp_path)
