"""The block `tiles` of a data set."""

from __future__ import annotations

from typing import Any

import pytest

from simclr_steps.settings.reading import check
from simclr_steps.settings.tiles import Tiles
from tests.unit.settings.mistakes import assert_refused


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"stride": 8}, "size: this key is required: add it"),
        ({"size": [8]}, "size: [8] is wrong: it must be a whole number or two, [height, width]"),
        ({"size": 64, "stride": 0}, "stride: 0 is wrong"),
        ({"size": 64, "level": -1}, "level: -1 is wrong"),
        ({"size": 64, "keep": {"min_std": 1}}, "keep.min_std: 1"),
        ({"size": 64, "keep": {}}, "keep.min_std: this key is required"),
        ({"size": 64, "nodata": "none"}, 'nodata: "none" is wrong: it must be a number or nan'),
        ({"size": 64, "nodata": True}, "nodata: true is wrong: it must be a number or nan"),
    ],
)
def test_mistake_is_one_sentence_that_names_the_key(content: dict[str, Any], sentence: str) -> None:
    assert_refused(Tiles, content, sentence)


@pytest.mark.parametrize("nodata", [None, 0, -9999.5, "nan"])
def test_pixels_without_data_have_a_number_or_nan(nodata: float | str | None) -> None:
    assert check(Tiles, {"size": 64, "nodata": nodata}).nodata == nodata


def test_what_is_left_out_keeps_all_tiles_side_by_side_at_the_largest_level() -> None:
    tiles = check(Tiles, {"size": [64, 48]})
    assert (tiles.size, tiles.stride, tiles.keep, tiles.level) == ((64, 48), None, None, 0)
