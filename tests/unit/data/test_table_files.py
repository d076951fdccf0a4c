"""A table is written by its suffix, a few rows at a time, and reads the same from each kind of file."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from simclr_steps.data.table_files import check_table, whole_table
from simclr_steps.machine.errors import UserError

PATHS = ["a.png", 'of "the", ü.png', "b/c.png", "two\nlines.png", "5.png"]
CLASSES = ["../cat", "dog, small"]
NUMBERS = np.random.default_rng(0).random((5, 3)).astype(np.float32)
FACTS = {"skipped": ["ü.png"], "run": {"step": "embed"}}
SUFFIXES = (".parquet", ".csv", ".npz")


def write(out: Path, names: dict[str, list[str]] | None = None, *, values: np.ndarray = NUMBERS) -> Path:
    with whole_table(out, names) as table:
        for part in (slice(0, 2), slice(2, 3), slice(3, 5)):
            table.write({"path": PATHS[part], "sure": values[part, 0], "features": values[part]})
        table.facts = FACTS
    return out


def read(out: Path) -> tuple[list[str], np.ndarray, np.ndarray, Any]:
    """Return paths, the numbers, several numbers a row, and the facts, each as the documented way reads it."""
    if out.suffix == ".npz":
        with np.load(out, allow_pickle=False) as arrays:
            of_file = {name: arrays[name] for name in arrays.files}
        return list(of_file["path"]), of_file["sure"], of_file["features"], json.loads(str(of_file["simclr"]))
    if out.suffix == ".csv":
        table = pd.read_csv(out, dtype={"sure": np.float32, **{f"features_{k}": np.float32 for k in range(3)}})
        facts = json.loads(Path(f"{out}.json").read_text())
        return list(table["path"]), table["sure"].to_numpy(), table.filter(like="features_").to_numpy(), facts
    table = pd.read_parquet(out)
    facts = json.loads(pq.read_metadata(out).metadata[b"simclr"])
    return list(table["path"]), table["sure"].to_numpy(), np.stack(list(table["features"])), facts


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_was_written_is_read_whatever_the_suffix(tmp_path: Path, suffix: str) -> None:
    paths, sure, features, facts = read(write(tmp_path / f"new/t{suffix}"))
    assert paths == PATHS and facts == FACTS
    assert sure.dtype == features.dtype == np.float32
    np.testing.assert_array_equal(sure, NUMBERS[:, 0])
    np.testing.assert_array_equal(features, NUMBERS)
    beside = [f"t{suffix}", *(["t.csv.json"] if suffix == ".csv" else [])]
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == beside


@pytest.mark.parametrize("suffix", [".parquet", ".CSV"])
def test_several_numbers_a_row_are_columns_where_they_have_names(tmp_path: Path, suffix: str) -> None:
    out = write(tmp_path / f"t{suffix}", {"features": CLASSES}, values=NUMBERS[:, :2])
    table = pd.read_parquet(out) if suffix == ".parquet" else pd.read_csv(out)
    assert list(table) == ["path", "sure", *CLASSES]
    np.testing.assert_array_equal(table[CLASSES].to_numpy(dtype=np.float32), NUMBERS[:, :2])


@pytest.mark.parametrize("name", ["t.txt", "t", "t.csv.gz", ".csv"])
def test_another_suffix_is_an_error_that_names_those_that_are_known(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"^--out: .* ends in none of \.parquet, \.csv, \.npz: give the table's file"):
        check_table(tmp_path / name)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_block_that_fails_leaves_an_earlier_table_and_nothing_else(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"t{suffix}").write_text("earlier")
    with pytest.raises(UserError, match="none is readable"), whole_table(tmp_path / f"t{suffix}") as table:
        table.write({"path": PATHS, "features": NUMBERS})
        raise UserError("none is readable")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["earlier"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_is_named_and_leaves_nothing(small_disk: Path, suffix: str) -> None:
    (small_disk / "filler").write_bytes(bytes(shutil.disk_usage(small_disk).free - 40_000))
    values = np.random.default_rng(0).random((1, 20_000)).astype(np.float32)
    with (
        pytest.raises(UserError, match=rf"^the disk is full while writing {small_disk}/t\{suffix}: free some"),
        whole_table(small_disk / f"t{suffix}") as table,
    ):
        for _ in range(3):
            table.write({"path": ["a"], "features": values})
        table.facts = {}
    assert [file.name for file in small_disk.iterdir()] == ["filler"]


def test_a_table_never_stands_beside_the_facts_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[bool, list[str]]] = []
    replace = Path.replace

    def watched(partial: Path, path: Path) -> Path:
        replaced = replace(partial, path)
        seen.append((path.name == "t.csv", sorted(file.name for file in tmp_path.glob("t.*"))))
        return replaced

    write(tmp_path / "t.csv")
    monkeypatch.setattr(Path, "replace", watched)
    write(tmp_path / "t.csv")
    assert seen == [(True, ["t.csv"]), (False, ["t.csv", "t.csv.json"])]


@pytest.mark.parametrize("text", ["mine", "[]", "{}", '{"run": 3}'])
def test_a_file_beside_a_csv_table_that_holds_no_facts_is_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv.json").write_text(text)
    with pytest.raises(UserError, match="^--out: .*t.csv.json, beside the table, is a file of yours and would be"):
        check_table(tmp_path / "t.csv")
    check_table(tmp_path / "t.npz")
    (tmp_path / "t.csv.json").write_text('{"run": {"step": "embed"}}')
    check_table(tmp_path / "t.csv")


def test_many_small_batches_share_a_row_group_and_large_ones_are_written_in_turn(tmp_path: Path) -> None:
    for rows, groups in ((1, 1), (50_000, 3)):  # 20 MB each
        with whole_table(tmp_path / "t.parquet") as table:
            for part in range(3):
                table.write({"path": [str(part)] * rows, "features": np.full((rows, 100), part, np.float32)})
        file = pq.ParquetFile(tmp_path / "t.parquet")
        assert file.num_row_groups == groups and file.read(["path"])["path"].to_pylist()[::rows] == ["0", "1", "2"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_memory_does_not_grow_with_the_rows(tmp_path: Path, suffix: str) -> None:
    values = np.random.default_rng(0).random((1000, 100)).astype(np.float32)
    paths = [f"{number}.png" for number in range(1000)]

    def most(parts: int) -> int:
        tracemalloc.start()
        try:
            with whole_table(tmp_path / f"t{suffix}") as table:
                for _ in range(parts):
                    table.write({"path": paths, "features": values})
                table.facts = FACTS
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert most(12) - most(2) < 1e6  # of 4 MB more


def test_a_table_that_would_replace_what_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.csv").write_text("path\na.png\n")
    with pytest.raises(UserError, match=r"^--out: list\.csv is read as well, and would be replaced: give another name"):
        check_table(Path("list.csv"), tmp_path / "e.safetensors", tmp_path / "list.csv")
    check_table(Path("other.csv"), tmp_path / "list.csv")
