"""Channels of an OME-TIFF file are found by the names that it gives them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile

from simclr_steps.data.channel_names import names_in
from simclr_steps.data.measured_files import tell_order_of_channels
from tests.unit.data.test_measured_files import FIVE, STACK, reading, reason, values


def ome(path: Path, names: Sequence[str]) -> Path:
    tifffile.imwrite(path, STACK, ome=True, metadata={"axes": "CYX", "Channel": {"Name": list(names)}})
    return path


@pytest.mark.parametrize(
    ("stored", "asked", "order"),
    [
        (["Mito", "AGP", "ER", "RNA", "DNA"], FIVE, [4, 3, 2, 1, 0]),
        (["RNA", "Mito", "dna ", "ER", "AGP"], ["DNA", "ER"], [2, 3]),
        (["007", "1e3", "no", "a,b", "Ä&<"], ["Ä&<", "no", "007"], [4, 2, 0]),
        (["C:0", "C:1", "C:2", "C:3", "C:4"], FIVE, [0, 1, 2, 3, 4]),
        (["", "DNA", "ER", "AGP", "Mito"], FIVE, [0, 1, 2, 3, 4]),  # not all have a name
        (["DNA", "DNA", "ER", "AGP", "Mito"], FIVE, [0, 1, 2, 3, 4]),
    ],
)
def test_channels_of_an_ome_tiff_file_are_found_by_the_names_that_it_gives_them(
    tmp_path: Path, stored: list[str], asked: list[str], order: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    path, how = ome(tmp_path / "a.tif", stored), reading(len(asked), channel_names=asked)
    assert np.array_equal(values(path, how), np.moveaxis(STACK[order], 0, -1))
    with caplog.at_level(logging.INFO):
        tell_order_of_channels(path, how)
    by_order = order == [0, 1, 2, 3, 4] and all(stored)
    told = f"{path} names its channels {', '.join(stored)}: they are taken in this order as {', '.join(asked)}"
    assert caplog.messages == ([told] if by_order else [])


def test_a_file_that_names_some_of_the_channels_and_lacks_one_is_unreadable(tmp_path: Path) -> None:
    path = ome(tmp_path / "a.tif", ["DNA", "RNA", "ER", "AGP", "Other"])
    told = "its channels are named DNA, RNA, ER, AGP, Other, none of them Mito: use its names in `channels`"
    assert told in reason(path, reading(5, channel_names=FIVE))
    assert np.array_equal(values(path, reading(5)), np.moveaxis(STACK, 0, -1))
    chosen = reading(5, channel_names=FIVE, channel_axis=0)
    assert np.array_equal(values(path, chosen), np.moveaxis(STACK, 0, -1))


def test_the_names_are_those_of_the_first_image_and_may_be_missing(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        file.write(STACK[:2], metadata={"axes": "CYX", "Channel": {"Name": ["Ä&<", "RNA"]}})
        file.write(STACK[:3], metadata={"axes": "CYX", "Channel": {"Name": ["x", "y", "z"]}})
    tifffile.imwrite(tmp_path / "b.ome.tif", STACK[:2], metadata={"axes": "CYX"})
    found = []
    for name in ("a.ome.tif", "b.ome.tif"):
        with tifffile.TiffFile(tmp_path / name) as file:
            assert file.ome_metadata is not None
            found.append(names_in(file.ome_metadata))
    assert found == [["Ä&<", "RNA"], ["", ""]]
