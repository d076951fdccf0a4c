"""A folder and a CSV file tell of their images, of which no pixel is read."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from simclr_steps.data.boxes import Box
from simclr_steps.data.cut_images import list_cut
from simclr_steps.data.fingerprints import fingerprints
from simclr_steps.data.folder_listing import list_folder, path_of
from simclr_steps.data.image_folders import read_folder
from simclr_steps.data.image_index import ImageFile
from simclr_steps.data.packed import read_origins
from simclr_steps.machine.errors import UserError
from tests.unit.data.test_boxes import BOXES, write_table
from tests.unit.data.test_boxes import dataset as boxes
from tests.unit.data.test_image_folders import block
from tests.unit.data.test_image_index import put
from tests.unit.data.test_tiles import dataset as tiles
from tests.unit.data.test_tiles import packed as packed_tiles
from tests.unit.data.test_tiles import write
from tests.unit.packing import pack_and_label


def test_a_folder_tells_classes_and_splits_of_files_that_are_not_opened(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = put(tmp_path, "train/dog/1.png", "train/cat/2.png", "test/dog/3.png", "unlabeled/4.png")
    for file in folder.rglob("*.png"):
        file.write_bytes(b"no image")
    with caplog.at_level(logging.INFO):
        listing = list_folder(block(folder))
    known = dict(zip(listing.names, zip(listing.splits.tolist(), listing.labels.tolist(), strict=True), strict=True))
    assert listing.classes == ["cat", "dog"]
    assert known == {
        "train/dog/1.png": ("train", 1),
        "train/cat/2.png": ("train", 0),
        "test/dog/3.png": ("test", 1),
        "unlabeled/4.png": ("unlabeled", -1),
    }
    assert (listing.base, listing.groups, listing.boxes) == (str(folder), None, None)
    assert listing.files == {"path": listing.names}
    assert f"found 4 images of 2 classes in {folder}" in caplog.text


def test_a_table_tells_groups_channels_and_further_columns(tmp_path: Path) -> None:
    put(tmp_path, *(f"{number}{channel}.png" for number in range(2) for channel in "ab"))
    table = tmp_path / "cells.csv"
    table.write_text("path.A,path.B,group,plate\n0a.png,0b.png,g1,007\n1a.png,1b.png,g2,\n")
    listing = list_folder(block(table, channels=["B", "A"]))
    assert listing.names == ["0b.png", "1b.png"], "the first of the channels that are asked for names an image"
    assert listing.files == {"path.B": ["0b.png", "1b.png"], "path.A": ["0a.png", "1a.png"]}
    assert listing.groups is not None and listing.groups.tolist() == ["g1", "g2"]
    assert listing.columns == {"plate": ["007", ""]}
    assert path_of(tmp_path, ImageFile("0b.png", "", "train", of_channels=("0b.png", "0a.png"))) == (
        tmp_path / "0b.png",
        tmp_path / "0a.png",
    )
    assert path_of(tmp_path, ImageFile("0b.png", "", "train")) == tmp_path / "0b.png"


def test_boxes_are_as_they_are_listed_and_nothing_is_cut_unless_it_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "slides", "a.tif", "b.tif")
    uncut, cut = list_folder(tiles(tmp_path / "slides")), list_cut(tiles(tmp_path / "slides"), workers=1)
    assert uncut.names == ["a.tif", "b.tif"] and uncut.boxes is None
    assert cut.uncut is not None and (cut.uncut.names, cut.uncut.boxes) == (uncut.names, None)
    assert len(cut.names) == 12 and cut.boxes is not None and cut.boxes[0] == Box(0, 0, 64, 64)
    outside = boxes(write_table(tmp_path / "slides", BOXES, "b.tif,0,0,16,16", "a.tif,900,0,16,16", "b.tif,9,0,16,16"))
    listing = list_folder(outside)
    assert listing.boxes == [Box(0, 0, 16, 16), Box(9, 0, 16, 16), Box(900, 0, 16, 16)]
    assert listing.groups is not None and listing.groups.tolist() == ["b.tif", "b.tif", "a.tif"]
    with pytest.raises(UserError, match="line 3 has the box x=900"):
        list_cut(outside, workers=1)


def test_a_group_pattern_names_the_groups_of_tiles(tmp_path: Path) -> None:
    write(tmp_path / "slides", "p1_a.tif", "p1_b.tif", "p2_a.tif")
    _, rows = packed_tiles(tmp_path / "slides", group_pattern="^(p.)_")
    assert dict(zip(rows["parent"], rows["group"], strict=True)) == {
        "p1_a.tif": "p1", "p1_b.tif": "p1", "p2_a.tif": "p2",
    }  # fmt: skip


def test_a_path_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^path: .*absent does not exist"):
        read_folder(block(tmp_path / "absent"), workers=1)


def test_classes_and_groups_of_any_name_come_back_from_the_table_that_label_writes(tmp_path: Path) -> None:
    names = ["None", "NA", "nan", "null", '"', '"None"', 'a, "b"', " spaces ", "two\nlines", "a\rb", "cat"]
    groups = ["<NA>", "NULL", '" a"', "it's; 7", "8"]
    put(tmp_path / "photos", *(f"{name}/ {group}.png" for name in names for group in groups), "8.png")
    asked = {"test_fraction": 0.2, "validation_fraction": 0}
    settings = block(tmp_path / "photos", group_pattern=r"([^/]+)\.png$", **asked)
    pack_and_label(settings, tmp_path / "packed")
    again = block(tmp_path / "packed/table.csv", **asked)
    given_back, first = list_folder(again), list_folder(settings)
    assert given_back.classes == first.classes == sorted(names)
    assert given_back.labels.tolist() == first.labels.tolist()
    assert given_back.groups is not None and first.groups is not None
    assert given_back.groups.tolist() == first.groups.tolist()
    assert set(given_back.groups.tolist()) == {"8", *(f" {group}" for group in groups)}
    test = {name for name, split in zip(given_back.keys, given_back.splits, strict=True) if split == "test"}
    assert test == set(read_origins(tmp_path / "packed")["test"].keys)
    assert fingerprints(again) == fingerprints(settings), "nothing reruns"
