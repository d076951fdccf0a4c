"""Boxes of a CSV file lie in their images, and no image is divided."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from simclr_steps.machine.errors import UserError
from tests.unit.data.test_boxes import BOXES, source_of
from tests.unit.data.test_tiles import write


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
