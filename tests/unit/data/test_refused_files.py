"""Files that are damaged, or hold what is not read, are refused with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from simclr_steps.data.decoding import decode
from tests.unit.data.test_measured_files import PLANE, STACK, one_by_one, reading, reason


@pytest.mark.parametrize("dtype", [np.int16, np.float64, np.uint32, np.float16])
def test_a_type_that_is_not_read_is_named(tmp_path: Path, dtype: Any) -> None:
    for path, save in ((tmp_path / "a.tif", tifffile.imwrite), (tmp_path / "a.npy", np.save)):
        save(path, PLANE.astype(dtype))
        refused = reason(path, reading())
        assert refused == f"its values are {np.dtype(dtype).name}: convert them to uint8, uint16 or float32"


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_compression_that_nothing_knows_is_named_with_the_packages(tmp_path: Path, channels: int, dtype: Any) -> None:
    tifffile.imwrite(tmp_path / "a.tif", PLANE.astype(dtype))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        place = file.pages.first.tags["Compression"].valueoffset
    with (tmp_path / "a.tif").open("r+b") as stream:
        stream.seek(place)
        stream.write((32767).to_bytes(2, "little"))
    refused = reason(tmp_path / "a.tif", reading(channels))
    assert refused.startswith("its compression SONY_ARW is read by neither tifffile nor imagecodecs")


@pytest.mark.parametrize("cut", [10, 100, 3000, 5000])
def test_a_file_that_was_cut_is_unreadable_or_lacks_channels(tmp_path: Path, cut: int) -> None:
    one_by_one(tmp_path / "a.tif", metadata=None)
    whole = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(whole[:-cut])
    image = decode(tmp_path / "a.tif", reading(5))
    assert isinstance(image, str) or image.values.shape[2] < 5


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", ["tif", "zlib.tif", "png", "npy"])
@pytest.mark.parametrize("share", [0.1, 0.6, 0.97])
def test_a_file_that_was_cut_is_called_damaged(tmp_path: Path, dtype: Any, suffix: str, share: float) -> None:
    path, written = tmp_path / f"a.{suffix}", (PLANE % 251).astype(dtype)
    if suffix == "npy":
        np.save(path, written)
    elif suffix == "png":
        path.write_bytes(imagecodecs.png_encode(written))
    else:
        tifffile.imwrite(path, written, compression="zlib" if suffix == "zlib.tif" else None, rowsperstrip=4)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    for how in (reading(), reading(1, channel_names=["A"])):
        assert "damaged" in reason(path, how)


def test_a_file_without_pixels_says_so(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", PLANE[:0])
    assert reason(tmp_path / "a.npy", reading()) == "it holds no pixels"
    (tmp_path / "a.tif").write_bytes(b"II*\0" + bytes(30))
    for how in (reading(), reading(1, channel_names=["A"])):
        assert "damaged" in reason(tmp_path / "a.tif", how)


@pytest.mark.parametrize("suffix", ["tif", "png", "npy"])
def test_a_file_above_the_limit_of_pillow_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    if suffix == "png":
        path.write_bytes(imagecodecs.png_encode(PLANE)[:40])
    else:
        np.save(path, PLANE) if suffix == "npy" else tifffile.imwrite(path, PLANE)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)
    for how in (reading(), reading(1, channel_names=["A"])):
        assert reason(path, how) == "it has 32 × 24 values, too many to be read at once"


@pytest.mark.parametrize(
    ("shape", "dtype", "sentence"),
    [((2**40, 2**40), "<u2", "too many to be read at once"), ((32, 24), "|O", "its values are object: convert them")],
)
def test_the_header_of_an_array_is_judged_before_the_array_is_opened(
    tmp_path: Path, shape: tuple[int, ...], dtype: str, sentence: str
) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
        file.write(bytes(100))
    assert sentence in reason(tmp_path / "a.npy", reading())


def test_a_page_that_is_missing_is_said(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, metadata={"axes": "CYX"})
    described = tifffile.tiffcomment(tmp_path / "a.ome.tif")
    assert isinstance(described, str)
    one = described.replace('<TiffData IFD="0" PlaneCount="5"/>', '<TiffData IFD="0" PlaneCount="3"/>')
    assert one != described
    tifffile.tiffcomment(tmp_path / "a.ome.tif", one.encode())
    assert reason(tmp_path / "a.ome.tif", reading(5)) == "a page is missing, which its metadata name"


@pytest.mark.parametrize("suffix", ["tif", "npy"])
def test_values_that_are_not_finite_are_counted(tmp_path: Path, suffix: str) -> None:
    written = PLANE.astype(np.float32)
    written[0, :3], written[5, 5] = np.nan, np.inf
    tifffile.imwrite(tmp_path / "a.tif", written)
    np.save(tmp_path / "a.npy", written)
    assert reason(tmp_path / f"a.{suffix}", reading()) == "4 of its 768 values are NaN or infinite: replace them"
