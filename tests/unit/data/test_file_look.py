"""What the head of a file tells is what decoding it finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from simclr_steps.data.file_look import FileLook, look_at


def pixels(*shape: int, dtype: str = "uint16") -> Any:
    return np.zeros(shape, dtype=dtype)


@pytest.mark.parametrize(
    ("mode", "suffix"), [("L", "png"), ("RGBA", "png"), ("P", "bmp"), ("RGB", "jpg"), ("1", "tif")]
)
def test_a_picture(tmp_path: Path, mode: str, suffix: str) -> None:
    Image.new(mode, (30, 20)).save(tmp_path / f"a.{suffix}")
    assert look_at(tmp_path / f"a.{suffix}") == FileLook(20, 30)


def test_a_photograph_is_measured_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 20)).save(tmp_path / "a.jpg", exif=exif)
    assert look_at(tmp_path / "a.jpg") == FileLook(30, 20)


@pytest.mark.parametrize(
    ("shape", "written", "expected"),
    [
        ((20, 30), {}, FileLook(20, 30, channels=1, is_color=False)),
        ((20, 30, 3), {"photometric": "rgb"}, FileLook(20, 30)),
        ((3, 20, 30), {"photometric": "minisblack"}, FileLook(20, 30, False, 3, False)),
        ((5, 20, 30), {"photometric": "minisblack"}, FileLook(20, 30, False, 5, False)),
        ((40, 20, 30), {"photometric": "minisblack"}, FileLook(20, 30, True, 1, False, has_planes=True)),
        ((7, 20, 30), {"metadata": {"axes": "ZYX"}, "ome": True}, FileLook(20, 30, True, 1, False, has_planes=True)),
        (
            (2, 20, 30),
            {"metadata": {"axes": "CYX", "Channel": {"Name": ["DNA", "RNA"]}}, "ome": True},
            FileLook(20, 30, False, 2, False, ("DNA", "RNA")),
        ),
    ],
)
def test_a_deep_tiff_file(tmp_path: Path, shape: tuple[int, ...], written: dict[str, Any], expected: FileLook) -> None:
    tifffile.imwrite(tmp_path / "a.tif", pixels(*shape), **written)
    assert look_at(tmp_path / "a.tif") == expected


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pixels(20, 30), FileLook(20, 30)),
        (pixels(4, 20, 30), FileLook(20, 30, False, 4, False)),
        (pixels(20, 30, 3, dtype="uint8"), FileLook(20, 30, False, 3, True)),
        (pixels(3, 20, 30), FileLook(20, 30, False, 3, False)),
    ],
)
def test_an_array(tmp_path: Path, array: Any, expected: FileLook) -> None:
    np.save(tmp_path / "a.npy", array)
    assert look_at(tmp_path / "a.npy") == expected


def test_an_array_of_four_axes_is_no_image(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", pixels(2, 3, 4, 5))
    with pytest.raises(ValueError, match="store each image as H × W"):
        look_at(tmp_path / "a.npy")
