"""What is known of packed images is written beside them, and decides what results are made of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from simclr_steps.data.label_writer import write_labels
from simclr_steps.data.packed import read_description, read_packed, read_rows
from simclr_steps.data.packed_writer import ImageSource
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.provenance import Record
from tests.unit.data.test_packed_writer import ASSIGNED, LABELS, PIXELS, run, source


def labeled(data: Path, out: Path, images: ImageSource) -> Any:
    """Write the labels of images that are packed in `data` to `out`."""
    packed, record = read_packed(data), Record("label", None, None)
    return write_labels(images, data, packed, out, split_seed=7, origin={"source": "test"}, record=record)


def test_new_labels_need_no_pixels_and_change_the_hash_of_the_content_alone(tmp_path: Path) -> None:
    first = run(tmp_path / "data", source())
    for array in (tmp_path / "data").glob("*.images.npy"):
        array.unlink()
    relabeled = replace(source(), labels=np.where(LABELS == 2, 1, LABELS))
    second = labeled(tmp_path / "data", tmp_path / "labels", relabeled)
    assert second == read_description(tmp_path / "labels")
    assert second.pixel_hash == first.pixel_hash and second.content_hash != first.content_hash
    assert second.splits["test"].per_class[2] == 0 < first.splits["test"].per_class[2]
    assert (second.split_seed, second.source) == (7, {"source": "test"})
    again = labeled(tmp_path / "data", tmp_path / "again", source())
    assert again.content_hash == first.content_hash


def test_groups_and_further_columns_are_in_the_rows_and_in_the_table_to_edit(tmp_path: Path) -> None:
    groups = np.array([f"g{row // 10}" for row in range(60)])
    plates = ["", *("ü, 3" for _ in range(59))]
    known = replace(source(), groups=groups, columns={"plate": plates})
    description = run(tmp_path, known)
    assert description.splits["test"].groups == 6
    assert description.content_hash != run(tmp_path / "without", source()).content_hash
    rows = read_rows(tmp_path, description, "train")
    assert list(rows) == ["row", "source", "label", "group", "plate"]
    assert rows["group"].tolist() == groups[ASSIGNED == "train"].tolist()
    assert rows["plate"].isna().tolist() == [True, *[False] * (len(rows) - 1)]
    table = pd.read_csv(tmp_path / "table.csv", keep_default_na=False)
    used = np.flatnonzero(ASSIGNED != "")
    assert list(table) == ["source", "label", "split", "group", "plate"]
    assert table["source"].tolist() == [f"train/{row}" for row in used]
    assert table["split"].tolist() == ASSIGNED[used].tolist()
    assert table["label"].tolist() == [["a", "b, c", "ü", ""][LABELS[row]] for row in used]


def test_an_image_that_the_source_no_longer_lists_is_named(tmp_path: Path) -> None:
    run(tmp_path, source())
    before = (tmp_path / "dataset.json").read_bytes()
    gone = replace(source(), names=["train/other", *(f"train/{row}" for row in range(1, 60))])
    with pytest.raises(UserError, match=r"has the image train/0, which its source no longer lists: run prepare again"):
        labeled(tmp_path, tmp_path, gone)
    assert (tmp_path / "dataset.json").read_bytes() == before


def content_hash(tmp_path: Path, images: ImageSource, splits: Any = ASSIGNED) -> str:
    run(tmp_path, images, splits)
    return read_description(tmp_path).content_hash


def test_the_content_hash_depends_on_images_labels_and_splits_alone(tmp_path: Path) -> None:
    first = content_hash(tmp_path, source())
    assert content_hash(tmp_path / "elsewhere", source(chunk=60)) == first
    changed = PIXELS.copy()
    changed[2, 0, 0, 0] ^= 1
    other_splits = ASSIGNED.copy()
    other_splits[0] = "validation"
    flipped = PIXELS.reshape(60, 5, 6, 3)
    hashes = [content_hash(tmp_path, source(changed)), content_hash(tmp_path, source(), other_splits)]
    hashes.append(content_hash(tmp_path, source(flipped)))
    hashes.append(content_hash(tmp_path, replace(source(), labels=LABELS[::-1].copy())))
    assert len({first, *hashes}) == 5


def test_a_class_to_judge_of_which_no_image_is_readable_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(tmp_path, source(unreadable=tuple(np.flatnonzero((ASSIGNED == "test") & (LABELS == 0)))))
    assert 'none of the test images of class "a" is readable: fix these files' in caplog.text


@pytest.mark.parametrize("name", ["table.csv", "dataset.json", "test.labels.npy"])
def test_a_file_of_the_user_is_not_replaced_and_one_of_the_step_is(tmp_path: Path, name: str) -> None:
    run(tmp_path / "data", source())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text("years of work")
    with pytest.raises(UserError, match=f"mine/{name} is not from this step, as there is no train.rows.parquet beside"):
        labeled(tmp_path / "data", tmp_path / "mine", source())
    assert [file.read_text() for file in (tmp_path / "mine").iterdir()] == ["years of work"]
    (tmp_path / "data/dataset.json").unlink()  # as by a step that was killed while it put its files in their place
    labeled(tmp_path / "data", tmp_path / "data", source())
