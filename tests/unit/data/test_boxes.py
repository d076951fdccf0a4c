"""A CSV file with boxes: each line is a part of an image, such as a cell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from simclr_steps.data.fingerprints import fingerprints
from simclr_steps.data.image_folders import read_folder
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.datasets import FolderDataset
from tests.unit.data.test_tiff_regions import noise
from tests.unit.data.test_tiles import write
from tests.unit.packing import pack_and_label

BOXES = "path,x,y,width,height"


def dataset(table: Path, **changed: Any) -> FolderDataset:
    how = {"source": "folder", "path": str(table), "image_size": 16, "channels": 1, **changed}
    return FolderDataset.model_validate(how)


def write_table(folder: Path, columns: str, *lines: str) -> Path:
    (folder / "cells.csv").write_text("\n".join([columns, *lines]))
    return folder / "cells.csv"


def source_of(folder: Path, columns: str, *lines: str, **settings: Any) -> Any:
    return read_folder(dataset(write_table(folder, columns, *lines), **settings), workers=1)


@pytest.mark.parametrize("kind", ["tif", "png", "npy"])
def test_each_line_is_the_image_in_its_box(tmp_path: Path, kind: str) -> None:
    whole = noise(150, 210, dtype=np.uint16)
    if kind == "npy":
        np.save(tmp_path / "a.npy", whole)
    elif kind == "tif":
        tifffile.imwrite(tmp_path / "a.tif", whole)
    else:
        Image.fromarray(whole).save(tmp_path / "a.png")
    source = source_of(tmp_path, BOXES, f"a.{kind},10,20,16,16", f"a.{kind},194.0,134,16,16", f"a.{kind},0,0,32,32")
    assert source.names == [
        f"a.{kind}#x={x},y={y},w={w},h={w}" for x, y, w in [(10, 20, 16), (194, 134, 16), (0, 0, 32)]
    ]
    ((rows, images),) = source.read(np.arange(3))
    assert rows.tolist() == [0, 1, 2]
    assert np.array_equal(images[0, ..., 0], whole[20:36, 10:26])
    assert np.array_equal(images[1, ..., 0], whole[134:, 194:])
    assert source.groups.tolist() == [f"a.{kind}"] * 3
    assert {name: cells[1] for name, cells in source.columns.items()} == {
        "parent": f"a.{kind}", "x": "194", "y": "134", "width": "16", "height": "16",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["a.tif,0,0,0,16"], r"line 2 has a box of 0 × 16 pixels: correct it or delete the line"),
        (["a.tif,0,0.5,16,16"], r'line 2 has "0\.5" for y: write a whole number of pixels'),
        (["a.tif,0,,16,16"], r'line 2 has "" for y: write a whole number'),
        (["a.tif,inf,0,16,16"], r'line 2 has "inf" for x: write a whole number'),
        (["a.tif,0,0,16,16", "./a.tif,0,0,16,16"], r"lists \./a\.tif#x=0,.* on line 2 and on line 3: keep one"),
    ],
)
def test_a_wrong_box_is_named_with_its_line(tmp_path: Path, lines: Sequence[str], sentence: str) -> None:
    write(tmp_path, "a.tif", "b.tif")
    with pytest.raises(UserError, match=sentence):
        source_of(tmp_path, BOXES, *lines)


def test_boxes_need_all_four_columns_and_two_may_mean_something_else(tmp_path: Path) -> None:
    write(tmp_path, "a.tif", "b.tif")
    with pytest.raises(UserError, match="has the columns x, y, height without width: boxes need all four"):
        source_of(tmp_path, "path,x,y,height", "a.tif,0,0,16")
    source = source_of(tmp_path, "path,width,height", "a.tif,16,16", "b.tif,16,16")
    assert source.names == ["a.tif", "b.tif"] and source.columns["width"] == ["16", "16"]


def test_an_image_of_many_boxes_is_looked_at_once_for_the_fingerprint(tmp_path: Path) -> None:
    write(tmp_path, "a.tif", "b.tif")
    table = write_table(tmp_path, BOXES, *(f"a.tif,{x},0,16,16" for x in range(9)))
    cells = dataset(table, validation_fraction=0, test_fraction=0)
    before = fingerprints(cells).pixels
    write(tmp_path, "a.tif", "b.tif", size=(151, 210))
    assert fingerprints(cells).pixels != before


@pytest.mark.parametrize("relative", [True, False])
def test_a_file_is_one_image_however_a_table_spells_it(
    relative: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "a.tif", "b.tif")
    monkeypatch.chdir(tmp_path)
    folder = Path() if relative else tmp_path
    spellings = ["a.tif", "./a.tif", f"{tmp_path}/a.tif", f"../{tmp_path.name}/a.tif"]
    source = source_of(folder, BOXES, *(f"{name},{x},0,16,16" for x, name in enumerate(spellings)), "b.tif,0,0,16,16")
    assert source.groups.tolist() == source.columns["parent"] == ["a.tif"] * 4 + ["b.tif"]
    with pytest.raises(UserError, match="line 2 and on line 4: keep one"):
        source_of(folder, "path,label", "a.tif,x", "b.tif,x", f"{tmp_path}/a.tif,y")


def test_a_table_with_boxes_that_is_given_back_changes_no_fingerprint(tmp_path: Path) -> None:
    write(tmp_path, "a.tif", "b.tif")
    table = write_table(
        tmp_path, f"{BOXES},label", *(f"{name}.tif,{x},0,16,16,l{x}" for name in "ab" for x in range(2))
    )
    drawn = {"validation_fraction": 0, "test_fraction": 0.5}
    pack_and_label(dataset(table, **drawn), tmp_path / "packed")
    given_back = tmp_path / "packed" / "table.csv"
    assert "parent" in given_back.read_text().splitlines()[0]
    assert fingerprints(dataset(given_back, **drawn)) == fingerprints(dataset(table, **drawn))
