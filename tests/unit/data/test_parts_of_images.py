"""Boxes of a CSV file lie in their images, follow each other, and no image is divided."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from simclr_steps.data.boxes import NOWHERE, Box
from simclr_steps.data.image_index import ImageFile
from simclr_steps.data.parts_of_images import columns_of, in_order_of_files
from simclr_steps.machine.errors import UserError
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


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["a.tif,0,0,16,16", "a.tif,195,0,16,16"], r"line 3 has the box x=195,.* not all inside a\.tif of 210 × 150"),
        (["a.tif,-1,0,16,16"], r"line 2 has the box x=-1,y=0"),
        (["a.tif,0,140,16,16"], r"line 2 has the box x=0,y=140"),
        (
            ["a.tif,0,0,9,9", *(f"a.tif,{x},0,9,9" for x in (202, 203, 204))],
            r"line 3 \(and 2 more lines\) has the box x=202",
        ),
    ],
)
def test_a_box_outside_its_image_is_named_with_its_line(tmp_path: Path, lines: Sequence[str], sentence: str) -> None:
    write(tmp_path, "a.tif", "b.tif")
    with pytest.raises(UserError, match=sentence):
        source_of(tmp_path, BOXES, *lines)


def test_a_group_or_split_that_divides_an_image_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "a.tif", "b.tif")
    lines = ["a.tif,0,0,16,16,A", "b.tif,0,0,16,16,A", "./a.tif,16,0,16,16,B"]
    with pytest.raises(UserError, match=r"line 4 puts a part of \./a\.tif into the group B, but line 2 another into A"):
        source_of(tmp_path, f"{BOXES},group", *lines)
    with pytest.raises(
        UserError, match=r"line 4 puts a part of .*a\.tif into the split test, but line 2 .* into train"
    ):
        source_of(tmp_path, f"{BOXES},split", *(line.replace("A", "train").replace("B", "test") for line in lines))
    source = source_of(tmp_path, f"{BOXES},group", *(line.replace("B", "A") for line in lines))
    assert source.groups.tolist() == ["A"] * 3
    source_of(tmp_path, f"{BOXES},split", *(line.replace("A", "train").replace("B", "unlabeled") for line in lines))


def test_boxes_and_tiles_together_are_an_error(tmp_path: Path) -> None:
    write(tmp_path, "a.tif", "b.tif")
    with pytest.raises(UserError, match=r"tiles: .*cells\.csv has the columns x, y, width and height, .*: omit one"):
        source_of(tmp_path, BOXES, "a.tif,0,0,16,16", tiles={"size": 16})


def test_further_columns_go_with_boxes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "a.tif", "b.tif")
    with caplog.at_level(logging.INFO):
        source = source_of(tmp_path, f"{BOXES},plate", "b.tif,0,0,16,16,P2", "a.tif,0,0,16,16,P1", "b.tif,9,0,16,16,P2")
    assert source.columns["plate"] == ["P2", "P2", "P1"] and source.columns["parent"] == ["b.tif", "b.tif", "a.tif"]
    assert "columns left out" not in caplog.text
    assert pd.Series(source.names).is_unique
