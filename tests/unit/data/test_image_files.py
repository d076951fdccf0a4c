"""A fingerprint of the user's files changes with what is packed, and with nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path, PurePath

import numpy as np
import pytest
from PIL import Image

from simclr_steps.data.image_files import find_images, fingerprint
from simclr_steps.settings.datasets import ArraysDataset, FolderDataset


def save(path: Path, gray: int = 7) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (6, 6), gray).save(path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("cat/1.png", "cat/a/b/c/d/2.png", "dog/3.png"):
        save(tmp_path / "photos" / name)
    return tmp_path / "photos"


def of_folder(path: Path) -> str:
    return fingerprint(FolderDataset(source="folder", path=str(path), image_size=8))


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
def test_a_changed_image_at_any_depth_changes_it(change: Callable[[Path], object], photos: Path) -> None:
    before = of_folder(photos)
    assert of_folder(photos) == before
    change(photos)
    assert of_folder(photos) != before


def test_other_files_and_the_place_of_the_folder_change_nothing(photos: Path) -> None:
    before = of_folder(photos)
    for name in (".DS_Store", "cat/Thumbs.db", "cat/.hidden.png", "notes.txt", "cat/features.npy"):
        (photos / name).write_text("something")
    assert of_folder(photos) == before == of_folder(photos.rename(photos.with_name("moved")))


def test_a_table_and_the_images_it_lists_count_and_others_do_not(photos: Path) -> None:
    table = photos / "list.csv"
    table.write_text("label, path\ncat,cat/1.png\ndog,gone.png\n")
    before = of_folder(table)
    overwrite(photos)
    assert of_folder(table) == before
    os.utime(photos / "cat/1.png", ns=(1, 1))
    with_image = of_folder(table)
    table.write_text("label, path\ncow,cat/1.png\ndog,gone.png\n")
    assert len({before, with_image, of_folder(table)}) == 3


def test_arrays_count_and_what_lies_beside_them_does_not(tmp_path: Path) -> None:
    def of_arrays() -> str:
        return fingerprint(ArraysDataset(source="arrays", path=str(tmp_path)))

    np.save(tmp_path / "train_images.npy", np.zeros((4, 8, 8), np.uint8))
    before = of_arrays()
    save(tmp_path / "picture.png")
    assert of_arrays() == before
    np.save(tmp_path / "train_labels.npy", np.zeros(4, np.int64))
    assert of_arrays() != before


def test_images_are_sorted_by_folder_and_named_relative_to_the_one_that_holds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["a/2.png", "a b/1.png", "a.png", "a/1.png", "a-/z/1.png", "a/1/1.png", "a.b/1.png", "Ä/1.png", "1.png"]
    for name in names:
        save(tmp_path / name)
    expected = [name.as_posix() for name in sorted(map(PurePath, names))]
    assert find_images(tmp_path) == expected
    monkeypatch.chdir(tmp_path)
    assert find_images(Path()) == expected
