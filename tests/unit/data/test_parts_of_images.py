"""Boxes of a CSV file follow each other, and what is known goes with them."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd
import pytest

from simclr_steps.data.boxes import NOWHERE, Box
from simclr_steps.data.image_index import ImageFile
from simclr_steps.data.parts_of_images import columns_of, in_order_of_files
from tests.unit.data.test_boxes import BOXES, source_of
from tests.unit.data.test_tiles import write


def part(name: str, box: Box | None) -> ImageFile:
    return ImageFile(name, "", "train", box=box)


def test_parts_of_one_file_follow_each_other_in_the_order_of_their_lines() -> None:
    boxes = [Box(x, 0, 1, 1) for x in range(5)]
    parts = [part(name, box) for name, box in zip("babcb", boxes, strict=True)]
    found = in_order_of_files(parts)
    assert [(file.name, file.box.x) for file in found if file.box] == [("b", 0), ("b", 2), ("b", 4), ("a", 1), ("c", 3)]


def test_what_cannot_be_read_is_nowhere() -> None:
    assert columns_of([part("a.tif", Box(1, 2, 3, 4)), part("b.tif", NOWHERE), part("c.tif", None)]) == {
        "parent": ["a.tif", "b.tif", "c.tif"],
        "x": ["1", "", ""],
        "y": ["2", "", ""],
        "width": ["3", "", ""],
        "height": ["4", "", ""],
    }


def test_further_columns_go_with_boxes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "a.tif", "b.tif")
    with caplog.at_level(logging.INFO):
        source = source_of(tmp_path, f"{BOXES},plate", "b.tif,0,0,16,16,P2", "a.tif,0,0,16,16,P1", "b.tif,9,0,16,16,P2")
    assert source.columns["plate"] == ["P2", "P2", "P1"] and source.columns["parent"] == ["b.tif", "b.tif", "a.tif"]
    assert "columns left out" not in caplog.text
    assert pd.Series(source.names).is_unique
