"""Labels, groups and further columns are written as the source has them now; no pixel is read again."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from simclr_steps.data import folder_listing, image_index
from simclr_steps.data.fingerprints import fingerprints
from simclr_steps.data.packed import read_rows
from simclr_steps.data.sources import opened
from simclr_steps.files import read_json
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.base import PACKED_SPLITS
from simclr_steps.settings.datasets import FolderDataset
from simclr_steps.steps.label import label
from simclr_steps.steps.prepare import prepare
from tests.unit.conftest import digits
from tests.unit.steps.test_prepare import counts, photos, run, sources

HEADER = "path,label,split"


def dataset(table: Path) -> FolderDataset:
    return FolderDataset.model_validate({"source": "folder", "path": str(table), "image_size": 8})


def write(folder: Path, *lines: str) -> Path:
    (folder / "t.csv").write_text("\n".join([HEADER, *lines]))
    return folder / "t.csv"


def test_edited_labels_are_written_beside_images_that_stay(tmp_path: Path) -> None:
    photos(tmp_path, *(f"{n}.png" for n in range(5)))
    lines = ["0.png,a,train", "1.png,b,train", "2.png,a,val", "3.png,b,test", "4.png,a,test"]
    cells = dataset(write(tmp_path, *lines))
    prepare(cells, originals=None, out=tmp_path / "packed", workers=1)
    images = {file.name: file.read_bytes() for file in (tmp_path / "packed").iterdir()}
    for number in range(5):
        (tmp_path / f"{number}.png").write_bytes(b"no longer an image")
    write(tmp_path, *(line.replace(",b,", ",c,") for line in lines))
    label(cells, data=tmp_path / "packed", originals=None, out=tmp_path / "labels")
    edited = [line.replace(",b,", ",c,").replace(",val", ",validation") for line in lines]
    table = (tmp_path / "labels/table.csv").read_text().splitlines()
    assert table == [HEADER, *(f"{tmp_path}/{line}" for line in edited)]
    assert np.load(tmp_path / "labels/test.labels.npy").tolist() == [1, 0]
    assert {file.name: file.read_bytes() for file in (tmp_path / "packed").iterdir()} == images


@pytest.mark.parametrize("tiles", [None, {"size": 8}])
def test_prepare_and_label_list_the_source_once_and_record_what_planning_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiles: dict[str, int] | None
) -> None:
    photos(tmp_path, *(f"{n}.png" for n in range(4)))
    table = write(tmp_path, "0.png,a,train", "1.png,b,train", "2.png,a,val", "3.png,b,test")
    block = {"source": "folder", "path": str(table), "image_size": 8, "tiles": tiles}
    cells = FolderDataset.model_validate(block)
    index_table = image_index.index_table
    read: list[object] = []

    def counted(*arguments: Any) -> Any:
        read.append(arguments)
        return index_table(*arguments)

    monkeypatch.setattr(folder_listing, "index_table", counted)
    prepare(cells, originals=None, out=tmp_path / "packed", workers=1)
    assert len(read) == 1
    label(cells, data=tmp_path / "packed", originals=None, out=tmp_path / "packed")
    assert len(read) == 2
    recorded = [read_json(tmp_path / "packed" / file)["run"]["data_hash"] for file in ("images.json", "dataset.json")]
    planned = fingerprints(cells)
    assert recorded == [planned.pixels, planned.labels]


def test_labels_of_tiles_are_written_without_a_look_at_the_images(tmp_path: Path) -> None:
    folder = tmp_path / "slides#x=1,y=1,w=8,h=8"  # named like a part of an image
    photos(folder, *(f"{n}.png" for n in range(6)))
    (folder / "4.png").write_bytes((folder / "4.png").read_bytes()[:200])
    (folder / "5.png").write_bytes(b"no image")
    splits = ["train", "train", "val", "test", "train", "train"]
    table = write(folder, *(f"{n}.png,{'ab'[n % 2]},{split}" for n, split in enumerate(splits)))
    block = {"source": "folder", "path": str(table), "image_size": 8, "tiles": {"size": 8}, "unreadable": "skip"}
    slides = FolderDataset.model_validate(block)
    prepare(slides, originals=None, out=tmp_path / "packed", workers=1)
    with opened(slides, None, workers=1) as source:
        expected = dict(zip(source.keys, (source.classes[label] for label in source.labels.tolist()), strict=True))
    for number in range(6):
        (folder / f"{number}.png").write_bytes(b"no longer an image")
    label(slides, data=tmp_path / "packed", originals=None, out=tmp_path / "labels")
    rows = pd.concat(pd.read_parquet(tmp_path / f"labels/{split}.rows.parquet") for split in PACKED_SPLITS)
    found = dict(zip(f"{folder}/" + rows["source"], rows["label"], strict=True))
    skipped = [f"{folder}/{number}.png" for number in (4, 5)]
    assert found == {key: name for key, name in expected.items() if key not in skipped}
    assert read_json(tmp_path / "labels/dataset.json")["skipped"] == ["4.png", "5.png"]
    places = rows["parent"] + "#x=" + rows["x"] + ",y=" + rows["y"] + ",w=8,h=8"
    assert rows["source"].tolist() == places.tolist()


def test_a_line_that_is_gone_needs_prepare(tmp_path: Path) -> None:
    photos(tmp_path, *(f"{n}.png" for n in range(4)))
    lines = ["0.png,a,train", "1.png,b,train", "2.png,a,val", "3.png,b,test"]
    cells = dataset(write(tmp_path, *lines))
    prepare(cells, originals=None, out=tmp_path / "packed", workers=1)
    write(tmp_path, *lines[1:])
    with pytest.raises(UserError, match=r"has the image .*0\.png, which its source no longer lists: run prepare again"):
        label(cells, data=tmp_path / "packed", originals=None, out=tmp_path / "labels")


def test_a_row_of_a_table_that_is_for_test_stays_there_without_a_label(tmp_path: Path) -> None:
    photos(tmp_path, *(f"{n}.png" for n in range(6)))
    (tmp_path / "t.csv").write_text(
        "path,label,split\n0.png,a,\n1.png,b,\n2.png,,\n3.png,,test\n4.png,a,\n5.png,b,val\n"
    )
    folder, description = run(tmp_path, {"source": "folder", "path": str(tmp_path / "t.csv"), "image_size": 8})
    assert [sources(folder, split) for split in PACKED_SPLITS] == [
        ["0.png", "1.png", "2.png", "4.png"],
        ["5.png"],
        ["3.png"],
    ]
    assert counts(description) == [3, 1, 1, 1]
    assert description.splits["test"].labeled == 0


def test_a_test_split_of_training_images_gives_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    images, labels = digits(100)
    few, known = images[:30], labels[:30]
    np.savez(tmp_path / "leaky.npz", train_images=images, train_labels=labels, test_images=few, test_labels=known)
    with caplog.at_level(logging.WARNING):
        _, description = run(
            tmp_path, {"source": "arrays", "path": str(tmp_path / "leaky.npz"), "validation_fraction": 0.0}
        )
    assert description.repeated.trained_on == {"test": 30} and not description.repeated.contradictory
    assert "30 of the 30 images of the test split are also in the training data" in caplog.text


def test_further_columns_of_a_table_are_kept_as_text_for_the_images_that_are_packed(tmp_path: Path) -> None:
    folder = Path(photos(tmp_path / "images", *(f"{n}.png" for n in range(8))))
    (folder / "3.png").write_bytes(b"damaged")
    lines = [f"{n}.png,{'train' if n < 6 else 'test'},{['007', 'NaN', '', 'p, ü'][n % 4]},{n}" for n in range(8)]
    (folder / "cells.csv").write_text("\n".join(["path,split,plate,x", *lines]).replace("p, ü", '"p, ü"'))
    block = {"source": "folder", "path": str(folder / "cells.csv"), "image_size": 8, "unreadable": "skip"}
    packed, description = run(tmp_path, {**block, "validation_fraction": 0.0})
    rows = {split: read_rows(packed, description, split) for split in PACKED_SPLITS}
    assert all(list(table) == ["row", "source", "label", "plate"] for table in rows.values())
    plates = {split: table["plate"].fillna("none").tolist() for split, table in rows.items()}
    assert plates["train"] == ["007", "none", "none", "007", "none"]
    assert plates["test"] == ["none", "p, ü"]
