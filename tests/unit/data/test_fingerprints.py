"""One fingerprint of the user's data changes with what is packed, one with what is known of it, and neither else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simclr_steps.data.file_states import Fingerprints
from simclr_steps.data.fingerprints import fingerprints
from simclr_steps.settings.datasets import ArraysDataset, FolderDataset
from tests.unit.packing import pack_and_label


def save(path: Path, gray: int = 7) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (6, 6), gray).save(path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("cat/1.png", "cat/a/b/c/d/2.png", "dog/3.png"):
        save(tmp_path / "photos" / name)
    return tmp_path / "photos"


def of(path: Path, **settings: object) -> Fingerprints:
    block = {"source": "folder", "path": str(path), "image_size": 8, "test_fraction": 0.0, "validation_fraction": 0.0}
    return fingerprints(FolderDataset.model_validate(block | settings))


def overwrite(photos: Path) -> None:
    file = photos / "dog/3.png"
    size = file.stat().st_size
    save(file, gray=9)
    assert file.stat().st_size == size


@pytest.mark.parametrize(
    "change",
    [
        overwrite,
        lambda photos: save(photos / "cat/a/b/c/d/5.png"),
        lambda photos: (photos / "cat/1.png").unlink(),
        lambda photos: (photos / "cat/1.png").rename(photos / "dog/1.png"),
        lambda photos: (photos / "dog").rename(photos / "hound"),
    ],
    ids=["overwritten", "added", "removed", "moved", "renamed"],
)
def test_a_changed_image_at_any_depth_changes_that_of_the_pixels(
    change: Callable[[Path], object], photos: Path
) -> None:
    before = of(photos)
    assert of(photos) == before
    change(photos)
    assert of(photos).pixels != before.pixels


def test_other_files_and_a_move_of_the_project_change_nothing(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos.parent)
    before = of(Path("photos"))
    for name in (".DS_Store", "cat/Thumbs.db", "cat/.hidden.png", "notes.txt", "cat/features.npy"):
        (photos / name).write_text("something")
    assert of(photos) == of(Path("photos")) == before
    moved = photos.parent.rename(photos.parent.with_name("moved"))
    monkeypatch.chdir(moved)
    assert of(Path("photos")) == before


TABLE = "path,label,split,group\ncat/1.png,cat,train,a\ndog/3.png,dog,test,b\ncat/a/b/c/d/2.png,,train,a\n"


@pytest.mark.parametrize("how", [{}, {"tiles": {"size": 4}}], ids=["whole", "tiles"])
@pytest.mark.parametrize(
    ("edited", "pixels", "labels"),
    [
        (TABLE, False, False),
        (TABLE.replace(",,train", ",cow,train"), False, True),
        (TABLE.replace(",,train", ",,unlabeled"), False, False),
        (TABLE.replace("3.png,dog", "3.png,hound"), False, True),
        (TABLE.replace("test,b", "test,c"), False, True),
        ("".join(f"{line},{n % 2}\n" for n, line in enumerate(TABLE.splitlines(), 1)), False, True),
        (TABLE.replace("test,b", "val,b"), True, False),
        ("\n".join(sorted(TABLE.splitlines(), reverse=True)[:1] + TABLE.splitlines()[:0:-1]), True, True),
        ("\n".join(TABLE.splitlines()[:3]), True, True),
    ],
    ids=["same", "labeled", "unlabeled", "renamed", "group", "column", "split", "order", "left out"],
)
def test_only_an_edit_of_a_table_that_moves_images_changes_that_of_the_pixels(
    edited: str, pixels: bool, labels: bool, how: dict[str, object], photos: Path
) -> None:
    table = photos / "list.csv"
    table.write_text(TABLE)
    before = of(table, **how)
    table.write_text(edited)
    after = of(table, **how)
    assert (after.pixels != before.pixels, after.labels != before.labels) == (pixels, labels)


def test_where_splits_are_drawn_a_label_counts_as_far_as_it_moves_an_image(photos: Path) -> None:
    for number in range(40):
        save(photos / f"{number}.png", number)
    table = photos / "list.csv"

    def drawn(labels: list[str], **how: object) -> Fingerprints:
        table.write_text("path,label\n" + "".join(f"{n}.png,{label}\n" for n, label in enumerate(labels)))
        return of(table, test_fraction=0.25, validation_fraction=0.1, **how)

    labels = ["cat", "dog"] * 20
    before = drawn(labels)
    renamed = drawn(["tiger" if label == "dog" else label for label in labels])
    assert renamed.pixels == before.pixels and renamed.labels != before.labels
    assert drawn(["cat"] * 5 + labels[5:]).pixels != before.pixels
    tiled = {"tiles": {"size": 4}}
    assert (
        drawn(["tiger" if label == "dog" else label for label in labels], **tiled).pixels
        == drawn(labels, **tiled).pixels
    )
    edits = ([*labels[:row], "cat", *labels[row + 1 :]] for row in range(1, 40, 2))
    moves_none = next(edit for edit in edits if drawn(edit).pixels == before.pixels)
    assert drawn(moves_none, **tiled).pixels != drawn(labels, **tiled).pixels, (
        "as it may move tiles, which are not known"
    )


def test_images_that_a_table_lists_count_and_others_do_not(photos: Path) -> None:
    table = photos / "list.csv"
    table.write_text("label, path\ncat,cat/1.png\n")
    before = of(table)
    overwrite(photos)
    assert of(table) == before
    os.utime(photos / "cat/1.png", ns=(1, 1))
    assert of(table).pixels != before.pixels
    table.write_text("label, path\ncat,gone.png\n")
    assert of(table) == Fingerprints("", ""), "the step names what is missing"


def test_arrays_count_and_what_lies_beside_them_does_not(tmp_path: Path) -> None:
    def of_arrays() -> Fingerprints:
        return fingerprints(ArraysDataset(source="arrays", path=str(tmp_path), test_fraction=0, validation_fraction=0))

    np.save(tmp_path / "train_images.npy", np.zeros((4, 8, 8), np.uint8))
    before = of_arrays()
    save(tmp_path / "picture.png")
    assert of_arrays() == before
    np.save(tmp_path / "train_labels.npy", np.zeros(4, np.int64))
    labeled = of_arrays()
    assert labeled.pixels == before.pixels and labeled.labels != before.labels
    np.save(tmp_path / "train_images.npy", np.zeros((4, 8, 8), np.uint8))
    assert of_arrays().pixels != before.pixels


def test_the_table_that_label_writes_stands_for_a_folder_whose_splits_were_drawn(photos: Path, tmp_path: Path) -> None:
    for number in range(40):
        save(photos / ("cat", "dog")[number % 2] / f"{number}.png", number)
    (photos / "dog/damaged.png").write_bytes(b"damaged")
    settings = {"image_size": 8, "channels": 1, "unreadable": "skip", "subset": 20, "test_fraction": 0.25}
    pack_and_label({"source": "folder", "path": str(photos), **settings}, tmp_path / "packed")
    copied = shutil.copy(tmp_path / "packed/table.csv", tmp_path / "table.csv")
    of_folder, of_table = (of(path, **settings, validation_fraction=0.1) for path in (photos, Path(copied)))
    assert of_table.pixels == of_folder.pixels
    assert len(Path(copied).read_text().splitlines()) < 43, "what the subset leaves out is not listed"
