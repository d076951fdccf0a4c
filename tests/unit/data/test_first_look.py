"""A first look at images: what they need of a config, from a sample."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from simclr_steps.data.first_look import MOST_DECODED, MOST_OPENED, evenly_spread, look_at_arrays, look_at_files
from simclr_steps.machine.errors import UserError

RANDOM = np.random.default_rng(0)


def write(path: Path, shape: tuple[int, ...] = (20, 30, 3)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RANDOM.integers(0, 256, shape, dtype=np.uint8)).save(path)


def test_a_sample_is_evenly_spread_and_has_the_first_and_the_last() -> None:
    assert evenly_spread(3, 200) == [0, 1, 2]
    assert evenly_spread(1001, 5) == [0, 250, 500, 750, 1000]


def test_of_many_files_a_sample_is_opened(tmp_path: Path) -> None:
    write(tmp_path / "0.png")
    for number in range(1, MOST_OPENED + 50):
        os.link(tmp_path / "0.png", tmp_path / f"{number}.png")
    look = look_at_files(tmp_path)
    assert len(look.listing.names) == MOST_OPENED + 50
    assert (look.opened, len(look.sizes), look.decoded) == (MOST_OPENED, MOST_OPENED, MOST_DECODED)
    assert look.parts == 1


def test_gray_images_with_three_equal_channels_are_gray(tmp_path: Path) -> None:
    write(tmp_path / "a.png", (20, 30))
    Image.open(tmp_path / "a.png").convert("RGB").save(tmp_path / "b.jpg")
    look = look_at_files(tmp_path)
    assert (look.channels, look.is_color, look.keys["channels"]) == (1, False, 1)
    write(tmp_path / "c.png")
    assert look_at_files(tmp_path).keys["channels"] == 3


def test_colors_of_a_numpy_file_stay_three_channels(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.full((20, 30, 3), 7, dtype=np.uint8))
    look = look_at_files(tmp_path)
    assert (look.keys["channels"], look.is_color) == (3, True)


def test_three_measured_channels_are_named_so_that_they_are_no_colors(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", RANDOM.integers(0, 999, (3, 20, 30), dtype=np.uint16), photometric="minisblack"
    )
    look = look_at_files(tmp_path)
    assert look.keys["channels"] == ["channel_0", "channel_1", "channel_2"]
    assert (look.channels, look.is_color, look.dtype) == (3, False, "uint16")
    assert 0 <= look.limits[0] < look.limits[1] <= 1200


def test_planes_are_reduced(tmp_path: Path) -> None:
    stack = RANDOM.integers(0, 999, (7, 20, 30), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", stack, ome=True, metadata={"axes": "ZYX"})
    assert look_at_files(tmp_path).keys["planes"] == "max"


def test_slides_are_cut_into_tiles(tmp_path: Path) -> None:
    slide = np.zeros((8192, 8192), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", slide, tile=(512, 512), compression="deflate")
    look = look_at_files(tmp_path)
    assert look.keys["tiles"] == {"size": 256}
    assert (look.parts, look.decoded, look.unreadable) == (1024, 1, {})


def test_unreadable_files_are_named_and_the_others_seen(tmp_path: Path) -> None:
    write(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"nothing")
    look = look_at_files(tmp_path)
    assert list(look.unreadable) == [tmp_path / "b.png"]
    (tmp_path / "a.png").unlink()
    with pytest.raises(UserError, match=r"b\.png is unreadable \(it is damaged.*\), and so is each image"):
        look_at_files(tmp_path)


def test_images_of_several_depths_are_refused_as_prepare_refuses_them(tmp_path: Path) -> None:
    write(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((20, 30), dtype=np.uint16))
    with pytest.raises(UserError, match="has uint8 values and .* uint16: convert one of them"):
        look_at_files(tmp_path)


@pytest.mark.parametrize(
    ("shape", "dtype", "keys", "is_color"),
    [
        ((9, 20, 30), "uint8", {}, False),
        ((9, 20, 30, 3), "uint8", {}, True),
        ((9, 3, 20, 30), "uint8", {"layout": "NCHW"}, True),
        ((9, 20, 30, 3), "float32", {"channels": ["channel_0", "channel_1", "channel_2"]}, False),
        ((9, 5, 20, 30), "uint16", {"layout": "NCHW"}, False),
    ],
)
def test_arrays(tmp_path: Path, shape: tuple[int, ...], dtype: str, keys: dict[str, object], is_color: bool) -> None:
    np.save(tmp_path / "train_images.npy", RANDOM.integers(0, 255, shape).astype(dtype))
    look = look_at_arrays(tmp_path)
    assert look.keys == {"source": "arrays", "path": str(tmp_path)} | keys
    assert (look.is_color, look.sizes, look.decoded, look.dtype) == (is_color, [(20, 30)], 9, dtype)


def test_a_column_of_a_channel_without_a_name_is_told(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "t.csv").write_text("path.\na.png\na.png\n")
    with pytest.raises(UserError, match="channels"):
        look_at_files(tmp_path / "t.csv")
