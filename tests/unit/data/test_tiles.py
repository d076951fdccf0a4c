"""Large images become tiles: which, with which pixels, and which of them are dropped."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import tifffile
from PIL import Image

from simclr_steps.data.cut_images import list_cut
from simclr_steps.data.packed import read_description
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.datasets import FolderDataset
from tests.unit.data.test_tiff_regions import noise
from tests.unit.packing import pack_and_label

REPOSITORY = Path(__file__).parents[3]
SIZE = (150, 210)


def dataset(path: Path, *, size: Any = 64, **changed: Any) -> FolderDataset:
    tiles = {"size": size} | {key: changed.pop(key) for key in ("stride", "keep", "level", "nodata") if key in changed}
    how = {"channels": 1, "test_fraction": 0, "validation_fraction": 0, **changed}
    return FolderDataset.model_validate({"source": "folder", "path": str(path), "tiles": tiles, **how})


def packed(path: Path, *, workers: int = 1, **settings: Any) -> tuple[npt.NDArray[Any], pd.DataFrame]:
    """Return the images to train on and their rows."""
    out = path.parent / "packed"
    pack_and_label(dataset(path, **settings), out, workers=workers)
    return np.load(out / "train.images.npy"), pd.read_parquet(out / "train.rows.parquet")


def write(folder: Path, *names: str, size: tuple[int, int] = SIZE, dtype: Any = np.uint8) -> list[npt.NDArray[Any]]:
    """Write TIFF files of noise, and return their pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = noise(len(names), *size, dtype=dtype)
    for name, pixels in zip(names, whole, strict=True):
        tifffile.imwrite(folder / name, pixels, tile=(64, 64), compression="zlib", photometric="minisblack")
    return list(whole)


@pytest.mark.usefixtures("in_processes_at_once")
@pytest.mark.parametrize("workers", [1, 2])
def test_tiles_are_the_pixels_of_their_place_row_by_row(
    tmp_path: Path, workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    files = write(tmp_path / "slides", "a.tif", "b.tif")
    with caplog.at_level(logging.INFO):
        images, rows = packed(tmp_path / "slides", workers=workers)
    assert len(images) == len(rows) == 2 * 2 * 3
    assert rows["source"].tolist()[:4] == [
        f"a.tif#x={x},y={y},w=64,h=64" for y, x in [(0, 0), (0, 64), (0, 128), (64, 0)]
    ]
    for image, (_, row) in zip(images, rows.iterrows(), strict=True):
        x, y = int(row["x"]), int(row["y"])
        assert np.array_equal(image[..., 0], files["ab".index(row["parent"][0])][y : y + 64, x : x + 64])
    assert rows["group"].tolist() == rows["parent"].tolist() and set(rows["width"]) == set(rows["height"]) == {"64"}
    assert "cut 2 images into 12 tiles; 22.0 % of the pixels fall off at the images' edges" in caplog.text


def test_stride_size_and_image_size_are_given_apart(tmp_path: Path) -> None:
    write(tmp_path / "slides", "a.tif")
    images, rows = packed(tmp_path / "slides", size=[100, 60], stride=[50, 75], image_size=[20, 12])
    assert images.shape[1:] == (20, 12, 1)
    assert list(zip(rows["y"], rows["x"], strict=True)) == [(y, x) for y in ("0", "50") for x in ("0", "75", "150")]


def test_tiles_of_pictures_are_those_of_the_picture_turned_as_it_is_shown(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    picture = Image.fromarray(noise(*SIZE, 3, dtype=np.uint8))
    exif = picture.getexif()
    exif[274] = 6
    picture.save(tmp_path / "photos" / "a.png", exif=exif)
    images, rows = packed(tmp_path / "photos", channels=3)
    turned = np.rot90(np.asarray(picture), -1)
    assert len(images) == 3 * 2
    for image, (_, row) in zip(images, rows.iterrows(), strict=True):
        x, y = int(row["x"]), int(row["y"])
        assert np.array_equal(image, turned[y : y + 64, x : x + 64])


def test_empty_tiles_are_dropped_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    [whole] = write(tmp_path / "slides", "a.tif", dtype=np.uint16)
    whole[:64, :64] = 30_000
    whole[64:128, 64:128] = 30_000 + whole[64:128, 64:128] % 500
    tifffile.imwrite(tmp_path / "slides" / "a.tif", whole)
    with caplog.at_level(logging.INFO):
        images, rows = packed(tmp_path / "slides", keep={"min_std": 0.02})
    assert list(zip(rows["y"], rows["x"], strict=True)) == [("0", "64"), ("0", "128"), ("64", "0"), ("64", "128")]
    assert len(images) == 4 and "dropped 2 of 6 tiles with nothing on them" in caplog.text
    assert "unreadable" not in caplog.text
    with pytest.raises(
        UserError, match=r"tiles\.keep: min_std 0\.9 leaves none of the 6 tiles, whose largest .* 0\.\d+"
    ):
        packed(tmp_path / "slides", keep={"min_std": 0.9})


def test_tiles_without_any_data_are_told(tmp_path: Path) -> None:
    (tmp_path / "slides").mkdir()
    tifffile.imwrite(tmp_path / "slides" / "a.tif", np.full(SIZE, 7, dtype=np.uint8))
    with pytest.raises(UserError, match=r"^tiles\.nodata: none of the 6 tiles has any data: check the value$"):
        packed(tmp_path / "slides", nodata=7, value_range=[0, 255])


@pytest.mark.parametrize(("dtype", "nodata"), [(np.uint8, 0), (np.uint16, 65_535), (np.float32, "nan")])
def test_pixels_without_data_count_neither_in_the_range_nor_in_keep(tmp_path: Path, dtype: Any, nodata: Any) -> None:
    whole = (100 + np.indices((128, 128)).sum(axis=0) % 100).astype(dtype)
    whole[:64, :64] = np.float32(nodata)  # all of a tile
    whole[:64, 64:96] = np.float32(nodata)  # half of one that is constant otherwise
    whole[:64, 96:] = 150
    (tmp_path / "slides").mkdir()
    tifffile.imwrite(tmp_path / "slides" / "a.tif", whole)
    settings = {"nodata": nodata, "value_range": {"percentiles": [0, 100]}}
    images, rows = packed(tmp_path / "slides", **settings)
    assert list(zip(rows["y"], rows["x"], strict=True)) == [("0", "64"), ("64", "0"), ("64", "64")]
    expected = np.rint((whole.astype(np.float32) - 100) / 99 * 255)
    assert np.array_equal(images[1, ..., 0], expected[64:, :64])
    assert not images[0, :, :32].any() and (images[0, :, 32:] == np.rint(50 / 99 * 255)).all()
    _, rows = packed(tmp_path / "slides", keep={"min_std": 0.01}, **settings)
    assert list(zip(rows["y"], rows["x"], strict=True)) == [("64", "0"), ("64", "64")]


def test_pixels_next_to_missing_ones_stay_what_they_are_when_tiles_are_made_smaller(tmp_path: Path) -> None:
    whole = np.full((64, 64), 200, np.uint8)
    whole[:, 40:] = 0
    (tmp_path / "slides").mkdir()
    tifffile.imwrite(tmp_path / "slides" / "a.tif", whole)
    images, _ = packed(tmp_path / "slides", nodata=0, image_size=16, value_range=[0, 255])
    assert set(np.unique(images).tolist()) == {0, 200}


def test_a_tile_larger_than_every_image_is_an_error_and_smaller_images_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "slides", "a.tif", "b.tif")
    write(tmp_path / "slides", "c.tif", size=(63, 300))
    with pytest.raises(
        UserError, match=r"tiles\.size: 151 × 100 .* of which the largest has 150 × 210: choose a smaller"
    ):
        packed(tmp_path / "slides", size=[151, 100])
    images, _ = packed(tmp_path / "slides")
    assert len(images) == 12 and "1 images are smaller than a tile, and are left out" in caplog.text


def test_an_image_that_cannot_be_read_stops_or_is_skipped_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "slides", "a.tif", "b.tif")
    (tmp_path / "slides" / "b.tif").write_bytes(b"II*\0damaged")
    with pytest.raises(UserError, match=r"b\.tif is unreadable .*: fix or remove it, or set `unreadable: skip`"):
        packed(tmp_path / "slides")
    images, _ = packed(tmp_path / "slides", unreadable="skip")
    assert len(images) == 6
    assert caplog.text.count("skipped /") == 1 and "#" not in read_description(tmp_path / "packed").skipped[0]
    assert "1 unreadable images were left out" in caplog.text
    given_back = FolderDataset(source="folder", path=str(tmp_path / "packed/table.csv"), channels=1, image_size=8)
    assert len(list_cut(given_back, workers=1).names) == 6


def test_an_image_that_cannot_be_read_fills_no_split(tmp_path: Path) -> None:
    names = [f"{name}.tif" for name in "abcdefgh"]
    write(tmp_path / "slides", *names)
    for name in names[::2]:
        (tmp_path / "slides" / name).write_bytes(b"II*\0damaged")
    cut: dict[str, Any] = {"unreadable": "skip", "validation_fraction": 0.25, "test_fraction": 0.25}
    packed(tmp_path / "slides", **cut)
    described = read_description(tmp_path / "packed")
    assert {name: one.groups for name, one in described.splits.items()} == {
        "train": 2, "validation": 1, "test": 1, "unlabeled": 0,
    }  # fmt: skip
    assert described.skipped == names[::2]


SLIDE = """
import resource, sys
from pathlib import Path
import numpy as np, tifffile
from simclr_steps.steps.prepare import prepare
from tests.unit.data.test_tiles import dataset

def most() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10  # MiB

SIDE, folder = 20_000, Path(sys.argv[1])
tile = np.add.outer(np.arange(512), np.arange(512)).astype(np.uint16)
tiles = (tile + number for number in range((-(-SIDE // 512)) ** 2))
how = {"tile": tile.shape, "compression": "zlib", "compressionargs": {"level": 1}, "photometric": "minisblack"}
tifffile.imwrite(folder / "a.tif", tiles, shape=(SIDE, SIDE), dtype=np.uint16, bigtiff=True, **how)
before = most()
large = dataset(folder, size=1000, image_size=32, value_range=[0, 65_535])
prepare(large, originals=None, out=folder / "out", workers=1)
print(most() - before, len(np.load(folder / "out/train.images.npy")))
"""


@pytest.mark.slow
def test_a_slide_of_800_mb_is_cut_in_little_memory(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SLIDE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY)
    grown, tiles = map(int, done.stdout.split())
    assert tiles == 20 * 20 and grown < 200  # MiB; the whole slide has 763


def test_a_class_whose_tiles_are_all_empty_is_named(tmp_path: Path) -> None:
    write(tmp_path / "slides" / "full", "a.tif", "b.tif")
    (tmp_path / "slides" / "blank").mkdir()
    tifffile.imwrite(tmp_path / "slides" / "blank" / "c.tif", np.full(SIZE, 200, np.uint8))
    with pytest.raises(
        UserError, match=r'none of the train images of class "blank" is readable and kept: lower min_std'
    ):
        packed(tmp_path / "slides", keep={"min_std": 0.02})


def test_labels_of_cut_images_change_no_tile_where_their_splits_are_named(tmp_path: Path) -> None:
    write(tmp_path / "slides", "a.tif", "b.tif", "c.tif", "d.tif")
    table = tmp_path / "slides" / "images.csv"
    table.write_text("path,label,split\na.tif,x,train\nb.tif,,unlabeled\nc.tif,x,test\nd.tif,y,train\n")
    first = pack_and_label(dataset(table), tmp_path / "first")
    table.write_text("path,label,split\na.tif,z,train\nb.tif,y,train\nc.tif,y,test\nd.tif,,unlabeled\n")
    second = pack_and_label(dataset(table), tmp_path / "second")
    assert second.pixel_hash == first.pixel_hash and second.content_hash != first.content_hash
    assert (first.classes, second.classes) == (["x", "y"], ["y", "z"])
