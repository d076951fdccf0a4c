from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from simclr_steps.data.image_folders import read_folder
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.datasets import FolderDataset
from tests.unit.data.test_image_index import put, write_table


def block(path: Path, **changed: Any) -> FolderDataset:
    return FolderDataset.model_validate({"source": "folder", "path": str(path), "image_size": 6, **changed})


def test_wanted_rows_alone_are_decoded_in_order(tmp_path: Path) -> None:
    folder = put(tmp_path, *(f"{label}/{number}.png" for label in "ba" for number in range(4)))
    (folder / "a" / "3.png").write_bytes(b"damaged")
    source = read_folder(block(folder), workers=1)
    assert source.classes == ["a", "b"]
    assert source.labels.tolist() == [0] * 4 + [1] * 4
    ((rows, images),) = source.read(np.array([0, 2, 5, 7]))
    assert rows.tolist() == [0, 2, 5, 7]
    assert images[:, 0, 0, 0].tolist() == [40, 60, 10, 30]


def test_an_unreadable_image_stops_and_is_named(tmp_path: Path) -> None:
    folder = put(tmp_path, "a/1.png", "a/2.png")
    (folder / "a" / "2.png").write_bytes((folder / "a" / "2.png").read_bytes()[:50])
    with pytest.raises(UserError, match=r"a/2\.png is unreadable .*`unreadable: skip`"):
        list(read_folder(block(folder), workers=1).read(np.arange(2)))


def test_an_unreadable_image_is_left_out_if_asked(tmp_path: Path) -> None:
    folder = put(tmp_path, "a/1.png", "a/2.png", "a/3.png")
    (folder / "a" / "2.png").write_bytes(b"damaged")
    ((rows, images),) = read_folder(block(folder, unreadable="skip"), workers=1).read(np.arange(3))
    assert rows.tolist() == [0, 2]
    assert len(images) == 2


def write_channels(folder: Path, *, images: int = 6, channels: str = "ABC", dtype: Any = np.uint16) -> Path:
    """Write images with a file for each channel, and a table of them with a column for each."""
    generator = np.random.default_rng(0)
    lines = ["label," + ",".join(f"path.{channel}" for channel in channels)]
    for image in range(images):
        names = [f"{image}_{channel}.png" for channel in channels]
        for name in names:
            Image.fromarray(generator.integers(0, 4096, (12, 12)).astype(dtype)).save(folder / name)
        lines.append("ab"[image % 2] + "," + ",".join(names))
    (folder / "table.csv").write_text("\n".join(lines))
    return folder / "table.csv"


def test_a_table_may_name_a_file_for_each_channel(tmp_path: Path) -> None:
    table = write_channels(tmp_path)
    source = read_folder(block(table, image_size=12), 1)
    assert source.reading.channel_names == ["A", "B", "C"] and source.dtype == "uint16"
    assert source.names == [f"{image}_A.png" for image in range(6)]
    ((_, whole),) = source.read(np.arange(6))
    for image in range(6):
        for channel, name in enumerate("ABC"):
            written = np.asarray(Image.open(tmp_path / f"{image}_{name}.png"))
            assert np.array_equal(whole[image, ..., channel], written)
    chosen = read_folder(block(table, image_size=12, channels=["C", "A"]), 1)
    ((_, two),) = chosen.read(np.arange(6))
    assert chosen.reading.channel_names == ["C", "A"] and np.array_equal(two, whole[..., [2, 0]])


@pytest.mark.parametrize("columns", ["Path.A,Path.B", "path.B,Path.A", "Path.A,PATH.B"])
def test_a_column_of_a_channel_in_capital_letters_is_named(tmp_path: Path, columns: str) -> None:
    table = write_table(tmp_path, columns, "a.png,c d.png")
    with pytest.raises(UserError, match=r'line 1 has the unknown column "Path\.A"; did you mean "path\.A"\?'):
        read_folder(block(table, channels=2), 1)


def test_channels_that_a_table_does_not_have_are_named(tmp_path: Path) -> None:
    table = write_channels(tmp_path)
    with pytest.raises(UserError, match=r'channels: .* has no column "path\.D"; available: A, B, C'):
        read_folder(block(table, channels=["A", "D"]), 1)
    with pytest.raises(UserError, match=r"files of 3 channels, but 5 are asked for: write `channels: \[A, B, C\]`"):
        read_folder(block(table, channels=5), 1)
    (tmp_path / "2_B.png").unlink()
    with pytest.raises(UserError, match=r"line 4 names 2_B\.png, which is missing"):
        read_folder(block(table), 1)
    table.write_text(table.read_text().replace("2_B.png", ""))
    with pytest.raises(UserError, match=r"line 4 has no path\.B: fill it in"):
        read_folder(block(table), 1)
    table.write_text("path,path.A\n0_A.png,0_A.png")
    with pytest.raises(UserError, match=r"has the columns path and path\.A: keep one or the other"):
        read_folder(block(table), 1)


@pytest.mark.parametrize("skip", [False, True])
def test_images_of_different_depths_or_channels_are_two_named(tmp_path: Path, skip: bool) -> None:
    for number, dtype in enumerate([np.uint8, np.uint8, np.uint16]):
        Image.fromarray(np.full((12, 12), number, dtype=dtype)).save(tmp_path / f"{number}.png")
    unreadable = "skip" if skip else "stop"
    source = read_folder(block(tmp_path, unreadable=unreadable), 1)
    with pytest.raises(UserError, match=r"0\.png has uint8 values and .*2\.png uint16: convert one of them"):
        list(source.read(np.arange(3)))
    for number, channels in enumerate([5, 5, 4]):
        (tmp_path / f"{number}.png").unlink()
        tifffile.imwrite(
            tmp_path / f"{number}.ome.tif", np.zeros((channels, 12, 12), np.uint16), metadata={"axes": "CYX"}
        )
    with pytest.raises(UserError, match=r"channels: .*0\.ome\.tif has 5 channels, but 4 are asked for"):
        read_folder(block(tmp_path, channels=4, unreadable=unreadable), 1)
    source = read_folder(block(tmp_path, channels=5, unreadable=unreadable), 1)
    with pytest.raises(UserError, match=r"0\.ome\.tif has 5 channels and .*2\.ome\.tif 4: make them equal"):
        list(source.read(np.arange(3)))


def test_the_log_says_which_share_of_the_pixels_falls_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number, shape in enumerate([(12, 12), (12, 24), (48, 12)]):  # none, a half and three quarters
        Image.fromarray(np.zeros(shape, dtype=np.uint8)).save(tmp_path / f"{number}.png")
    with caplog.at_level(logging.INFO):
        list(read_folder(block(tmp_path), 1).read(np.arange(3)))
        assert "41.7 % of the pixels fall off at the images' edges: `fit: pad` keeps them" in caplog.text
        caplog.clear()
        ((_, padded),) = read_folder(block(tmp_path, fit="pad", image_size=[12, 20]), 1).read(np.arange(3))
    assert "fall off" not in caplog.text and padded.shape == (3, 12, 20, 3)


@pytest.mark.usefixtures("in_processes_at_once")
@pytest.mark.parametrize("workers", [1, 2])
def test_the_log_says_how_many_images_were_made_gray(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, workers: int
) -> None:
    for name, mode in (("a.jpg", "RGB"), ("b.jpg", "L"), ("c.png", "RGB"), ("d.png", "L")):
        Image.new(mode, (9, 9)).save(tmp_path / name)
    tifffile.imwrite(tmp_path / "e.tif", np.zeros((9, 9, 3), dtype=np.uint8), photometric="rgb")
    said = f"colors were made gray in 3 of 5 images, such as {tmp_path / 'a.jpg'}"
    with caplog.at_level(logging.INFO):
        list(read_folder(block(tmp_path, channels=1), workers).read(np.arange(5)))
        assert caplog.messages.count(said) == 1 and "repeated" not in caplog.text
        caplog.clear()
        tiles = read_folder(block(tmp_path, channels=1, image_size=4, tiles={"size": 4}), workers)
        list(tiles.read(np.arange(len(tiles.names))))
    assert len(tiles.names) == 5 * 4 and caplog.messages.count(said) == 1


def test_an_image_whose_values_are_too_large_for_a_range_is_unreadable(tmp_path: Path) -> None:
    folder = tmp_path / "stripes"
    folder.mkdir()
    stripes = np.tile(np.array([0, 1] * 8, dtype=np.float32), (8, 1))
    np.save(folder / "a.npy", stripes)
    np.save(folder / "b.npy", stripes * np.float32(3.4e38))  # which leaves the range of float32 when it is resized
    with pytest.raises(UserError, match=r"b\.npy is unreadable \(\d+ of its 36 values are beyond 3\.4e\+37"):
        list(read_folder(block(folder, channels=1), workers=1).read(np.arange(2)))
    ((rows, _),) = read_folder(block(folder, channels=1, unreadable="skip"), workers=1).read(np.arange(2))
    assert rows.tolist() == [0]
