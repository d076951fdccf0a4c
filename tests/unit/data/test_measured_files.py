"""Files that tifffile and others write, compared pixel by pixel with tifffile's own reading."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from simclr_steps.data.decoding import Decoded, decode
from simclr_steps.data.measured_files import read_values
from simclr_steps.settings.image_format import Reading

Pixels = npt.NDArray[Any]

FIELDS = Path(os.environ.get("SIMCLR_TEST_DATA", "absent"), "microscopy")
RANDOM = np.random.default_rng(0)
PLANE = RANDOM.integers(100, 4096, (32, 24)).astype(np.uint16)
STACK = RANDOM.integers(0, 4096, (5, 32, 24)).astype(np.uint16)
FIVE = ["DNA", "RNA", "ER", "AGP", "Mito"]


def reading(channels: int = 1, height: int = 32, width: int = 24, **facts: Any) -> Reading:
    return Reading(height=height, width=width, channels=channels, **facts)


def values(path: Path, how: Reading) -> Pixels:
    """Decode a file, and say of which type its values are by the type of what is returned."""
    image = decode(path, how)
    assert isinstance(image, Decoded), image
    return image.values.astype(image.dtype)


def reason(path: Path, how: Reading) -> str:
    image = decode(path, how)
    assert isinstance(image, str)
    return image


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bigtiff": True},
        {"byteorder": ">"},
        {"tile": (16, 16), "compression": "deflate"},
        {"compression": "zstd", "predictor": True},
        {"compression": "lzma", "rowsperstrip": 5},
        {"bitspersample": 12},
    ],
)
def test_each_kind_of_tiff_file_keeps_every_value(tmp_path: Path, options: dict[str, Any]) -> None:
    arrays: list[Pixels] = [PLANE, PLANE / np.float32(7) - 100]
    for written in arrays[:1] if "bitspersample" in options else arrays:
        tifffile.imwrite(tmp_path / "a.tif", written, **options)
        found = values(tmp_path / "a.tif", reading())
        assert found.dtype == written.dtype
        assert np.array_equal(found[..., 0], tifffile.imread(tmp_path / "a.tif"))
        assert np.array_equal(found[..., 0], written)


@pytest.mark.skipif(not FIELDS.is_dir(), reason="SIMCLR_TEST_DATA names no folder with microscopy/")
@pytest.mark.parametrize("name", ["1-162hrh2ax2.tif", "cherry.tif", "0_1_N_G.png"])
def test_a_real_field_keeps_every_value(name: str) -> None:
    path = FIELDS / name
    theirs = tifffile.imread(path) if path.suffix == ".tif" else imagecodecs.imread(path)
    assert theirs.dtype == np.uint16
    assert np.array_equal(values(path, reading(height=theirs.shape[0], width=theirs.shape[1]))[..., 0], theirs)


@pytest.mark.parametrize("colors", [1, 2, 3, 4])
def test_a_png_file_of_16_bits_is_read_with_all_of_them(tmp_path: Path, colors: int) -> None:
    written = RANDOM.integers(0, 65536, (32, 24, colors)).astype(np.uint16)
    if colors in (2, 4):
        written[:16, :, -1], written[16:, :, -1] = 65535, 0
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(written.squeeze()))
    found = values(tmp_path / "a.png", reading(3 if colors > 2 else 1))
    color = written if colors % 2 else written[..., :-1]
    assert np.array_equal(found[:16], color[:16])
    assert np.array_equal(found[16:], color[16:] if colors % 2 else np.full_like(color[16:], 65535))
    gray = values(tmp_path / "a.png", reading(1))[:16].astype(float)
    assert np.abs(gray - (color[:16] @ [0.299, 0.587, 0.114] if colors > 2 else color[:16, :, 0])[..., None]).max() < 1
    assert values(tmp_path / "a.png", reading(3)).shape == (32, 24, 3)


def one_by_one(path: Path, **options: Any) -> None:
    with tifffile.TiffWriter(path) as file:
        for plane in STACK:
            file.write(plane, contiguous=False, **options)


WRITE: dict[str, Callable[[Path], object]] = {
    "in a row": lambda path: tifffile.imwrite(path, STACK),
    "one by one": one_by_one,
    "without metadata": lambda path: one_by_one(path, metadata=None),
    "OME": lambda path: tifffile.imwrite(path, STACK, ome=True, metadata={"axes": "CYX"}),
    "ImageJ": lambda path: tifffile.imwrite(path, STACK, imagej=True, metadata={"axes": "CYX"}),
    "samples": lambda path: tifffile.imwrite(
        path, np.moveaxis(STACK, 0, -1), photometric="minisblack", planarconfig="contig"
    ),
    "planes of samples": lambda path: tifffile.imwrite(path, STACK, photometric="minisblack", planarconfig="separate"),
    "array": lambda path: np.save(path.open("wb"), STACK),
    "array, channels last": lambda path: np.save(path.open("wb"), np.moveaxis(STACK, 0, -1)),
}


@pytest.mark.parametrize("kind", WRITE)
def test_channels_are_found_wherever_a_file_holds_them(tmp_path: Path, kind: str) -> None:
    WRITE[kind](tmp_path / "a.tif")
    for how in (reading(5, channel_names=FIVE), reading(5)):
        assert np.array_equal(values(tmp_path / "a.tif", how), np.moveaxis(STACK, 0, -1))


def test_only_colors_become_gray_values(tmp_path: Path) -> None:
    three = STACK[:3]
    tifffile.imwrite(tmp_path / "a.ome.tif", three, metadata={"axes": "CYX"}, photometric="minisblack")
    assert values(tmp_path / "a.ome.tif", reading(1)).shape == (32, 24, 3)  # which is refused as another number
    tifffile.imwrite(tmp_path / "a.tif", np.moveaxis(three, 0, -1), photometric="rgb")
    gray = values(tmp_path / "a.tif", reading(1))
    assert np.abs(gray[..., 0] - np.moveaxis(three, 0, -1) @ [0.299, 0.587, 0.114]).max() <= 0.5
    tifffile.imwrite(tmp_path / "a.tif", PLANE)
    assert np.array_equal(values(tmp_path / "a.tif", reading(3)), np.stack([PLANE] * 3, axis=-1))


@pytest.mark.parametrize("axes", ["ZCYX", "CZYX", "TCYX", "TZCYX"])
def test_planes_are_refused_with_their_sizes_unless_it_is_said_what_becomes_of_them(tmp_path: Path, axes: str) -> None:
    sizes = {"T": 2, "Z": 3, "C": 5, "Y": 32, "X": 24}
    written = RANDOM.integers(0, 4096, [sizes[axis] for axis in axes]).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.ome.tif", written, metadata={"axes": axes})
    refused = reason(tmp_path / "a.ome.tif", reading(5))
    assert ("3 focal planes (Z)" in refused) == ("Z" in axes)
    assert ("2 points in time (T)" in refused) == ("T" in axes)
    assert "set `planes` to max, mean or the number of one" in refused
    places = tuple(place for place, axis in enumerate(axes) if axis in "ZT")
    whole = tifffile.imread(tmp_path / "a.ome.tif")
    most, mean = (values(tmp_path / "a.ome.tif", reading(5, planes=planes)) for planes in ("max", "mean"))
    assert np.array_equal(most, np.moveaxis(whole.max(axis=places), 0, -1))
    assert np.array_equal(mean, np.moveaxis(np.rint(whole.mean(axis=places)), 0, -1))
    if len(places) == 1:
        second = values(tmp_path / "a.ome.tif", reading(5, planes=1))
        assert np.array_equal(second, np.moveaxis(whole.take(1, axis=places[0]), 0, -1))
        assert "counts from 0" in reason(tmp_path / "a.ome.tif", reading(5, planes=3))
    else:
        assert "does not name one" in reason(tmp_path / "a.ome.tif", reading(5, planes=1))


def test_axes_that_a_file_does_not_name_are_asked_for(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK)
    assert "its axes are QYX, 5 × 32 × 24: set `channel_axis`" in reason(tmp_path / "a.tif", reading(4))
    assert values(tmp_path / "a.tif", reading(4, channel_axis=0)).shape == (32, 24, 5)
    assert np.array_equal(values(tmp_path / "a.tif", reading(1, planes="max"))[..., 0], STACK.max(axis=0))
    assert "of which 3 is none for `channel_axis`" in reason(tmp_path / "a.tif", reading(5, channel_axis=3))
    np.save(tmp_path / "a.npy", STACK)
    assert "its shape is (5, 32, 24), and not one axis" in reason(tmp_path / "a.npy", reading(4))
    assert np.array_equal(values(tmp_path / "a.npy", reading(5, channel_axis=0)), np.moveaxis(STACK, 0, -1))
    np.save(tmp_path / "a.npy", STACK[None])
    assert "its shape is (1, 5, 32, 24)" in reason(tmp_path / "a.npy", reading(5))
    assert "as `planes` is for TIFF files only" in reason(tmp_path / "a.npy", reading(5, planes="max"))
    np.save(tmp_path / "a.npy", STACK[:3])
    assert "as `planes` is for TIFF files only" in reason(tmp_path / "a.npy", reading(1, planes="max"))
    np.save(tmp_path / "a.npy", STACK[:3, :3, :3])
    refused = "3 axes are as long as there are channels, 3: set `channel_axis` to the one that holds them"
    assert refused in reason(tmp_path / "a.npy", reading(3))


def test_a_picture_of_8_bits_may_have_a_compression_that_pillow_does_not_know(tmp_path: Path) -> None:
    picture = RANDOM.integers(0, 256, (32, 24, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", picture, photometric="rgb", compression="jpeg2000")
    assert np.array_equal(values(tmp_path / "a.tif", reading(3)), picture)


@pytest.mark.parametrize("colors", [1, 3])
def test_transparency_is_for_whole_numbers(tmp_path: Path, colors: int) -> None:
    written = RANDOM.integers(0, 65536, (32, 24, colors + 1)).astype(np.uint16)
    written[:16, :, -1], written[16:, :, -1] = 65535, 0
    options: dict[str, Any] = {"photometric": "rgb" if colors == 3 else "minisblack", "extrasamples": ["unassalpha"]}
    tifffile.imwrite(tmp_path / "a.tif", written, planarconfig="contig", **options)
    found = values(tmp_path / "a.tif", reading(colors))
    assert np.array_equal(found[:16], written[:16, :, :-1]) and (found[16:] == 65535).all()
    tifffile.imwrite(tmp_path / "a.tif", written.astype(np.float32), planarconfig="contig", **options)
    refused = "its values are float32 with an alpha channel: save it without that channel"
    assert reason(tmp_path / "a.tif", reading(colors)) == refused


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_file_is_turned_as_it_says_whatever_its_depth(tmp_path: Path, orientation: int) -> None:
    deep = np.repeat(np.repeat(np.array([[0, 60], [120, 240]], np.uint16) * 257, 4, 0), 4, 1)
    tag = [(274, 3, 1, orientation, True)]
    tifffile.imwrite(tmp_path / "deep.tif", deep, extratags=tag)
    tifffile.imwrite(tmp_path / "shallow.tif", (deep // 257).astype(np.uint8), extratags=tag)
    found, known = (values(tmp_path / name, reading(1, 8, 8)) for name in ("deep.tif", "shallow.tif"))
    assert np.array_equal(found, known.astype(np.uint16) * 257)


def test_pictures_of_8_bits_are_left_to_pillow_but_named_channels_are_not(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK[:3].astype(np.uint8), photometric="rgb", planarconfig="separate")
    assert read_values(tmp_path / "a.tif", reading(3)) is None
    named = values(tmp_path / "a.tif", reading(3, channel_names=["A", "B", "C"]))
    assert np.array_equal(named, np.moveaxis(STACK[:3].astype(np.uint8), 0, -1))
