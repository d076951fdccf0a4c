"""A TIFF file holds one image, or is refused: no page is taken or left out silently, at any depth."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from simclr_steps.data.decoding import Decoded, decode
from simclr_steps.data.metadata import turned
from tests.unit.data.test_measured_files import RANDOM, Pixels, reading, reason, values

STACK = RANDOM.integers(0, 256, (3, 32, 24))


def write_pages(path: Path, *pages: Pixels, **options: Any) -> Path:
    with tifffile.TiffWriter(path) as file:
        for page in pages:
            file.write(page, contiguous=False, photometric="minisblack", **options)
    return path


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("options", [{}, {"metadata": None}])
def test_pages_are_channels_if_as_many_are_asked_for_and_refused_otherwise(
    tmp_path: Path, dtype: Any, options: dict[str, Any]
) -> None:
    pages = STACK.astype(dtype)
    file = write_pages(tmp_path / "a.tif", *pages, **options)
    assert np.array_equal(values(file, reading(3)), np.moveaxis(pages, 0, -1))
    assert "3 × 32 × 24: set `channel_axis` to the one that holds the channels, or `planes`" in reason(file, reading(1))
    assert np.array_equal(values(file, reading(1, planes=2))[..., 0], pages[2])
    colors = write_pages(tmp_path / "b.tif", *np.stack([np.moveaxis(pages, 0, -1)] * 3), **options)
    assert "or `planes`" in reason(colors, reading(3))


@pytest.mark.parametrize("options", [{}, {"metadata": None}])
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (STACK[0, :16, :12].astype(np.uint16), "32 × 24 uint16, 16 × 12 uint16"),
        (STACK[0].astype(np.uint8), "32 × 24 uint16, 32 × 24 uint8"),
    ],
)
def test_pages_that_are_not_alike_are_refused(
    tmp_path: Path, other: Pixels, sentence: str, named: bool, options: dict[str, Any]
) -> None:
    pages = STACK[:1].astype(np.uint16)
    refused = f"its pages are not alike ({sentence}): save each as a file of its own"
    how = reading(1, channel_names=["A"] if named else None)
    assert reason(write_pages(tmp_path / "a.tif", *pages, other, **options), how) == refused
    shallow = write_pages(tmp_path / "b.tif", pages[0].astype(np.uint8), other[:9].astype(np.uint8), **options)
    assert "its pages are not alike" in reason(shallow, how)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_smaller_copies_and_masks_are_left_out(tmp_path: Path, dtype: Any) -> None:
    whole, copy = STACK[0].astype(dtype), STACK[0, ::2, ::2].astype(dtype)
    kinds: list[dict[str, Any]] = [{"metadata": None}, {}]
    for metadata in kinds:
        with tifffile.TiffWriter(tmp_path / "a.tif") as file:
            file.write(whole, subifds=1, contiguous=False, **metadata)
            file.write(copy, subfiletype=1, contiguous=False, **metadata)
            file.write(copy > 99, subfiletype=4, contiguous=False, photometric="mask", **metadata)
        assert np.array_equal(values(tmp_path / "a.tif", reading(1))[..., 0], whole)


def test_several_images_of_an_ome_tiff_file_are_refused(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        for page in STACK[:2].astype(np.uint16):
            file.write(page, metadata={"axes": "YX"})
    assert reason(tmp_path / "a.ome.tif", reading(1)) == "it holds 2 images: save each as a file of its own"


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_few_bits_become_8_and_white_is_the_most_however_a_file_is_read(
    tmp_path: Path, bits: int, photometric: str
) -> None:
    levels = STACK[0].astype(np.uint8) >> (8 - bits)
    written = levels.astype(bool) if bits == 1 else levels
    tifffile.imwrite(tmp_path / "a.tif", written, photometric=photometric, bitspersample=bits, metadata=None)
    light = levels * (255 // (2**bits - 1))
    expected = light if photometric == "minisblack" else 255 - light
    for how in (reading(1), reading(1, channel_names=["A"]), reading(1, planes="max")):
        assert np.array_equal(values(tmp_path / "a.tif", how)[..., 0], expected)


@pytest.mark.parametrize("bits", [12, 16])
def test_deep_values_that_count_from_white_are_inverted(tmp_path: Path, bits: int) -> None:
    deep = STACK[0].astype(np.uint16) << (bits - 8)
    tifffile.imwrite(tmp_path / "a.tif", deep, photometric="miniswhite", bitspersample=bits)
    for how in (reading(1), reading(1, channel_names=["A"])):
        assert np.array_equal(values(tmp_path / "a.tif", how)[..., 0], 2**bits - 1 - deep)
    tifffile.imwrite(tmp_path / "b.tif", deep.astype(np.float32), photometric="miniswhite")
    assert "float32, of which the least is white" in reason(tmp_path / "b.tif", reading(1))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_indices_into_a_table_of_colors_are_no_values(tmp_path: Path, dtype: Any) -> None:
    table = RANDOM.integers(0, 65536, (3, np.iinfo(dtype).max + 1)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", STACK[0].astype(dtype), photometric="palette", colormap=table)
    refused = "its values are indices into a table of colors: save it as gray values or RGB"
    assert reason(tmp_path / "a.tif", reading(1, channel_names=["A"])) == refused
    if dtype == np.uint8:
        assert np.array_equal(values(tmp_path / "a.tif", reading(3)), np.moveaxis(table >> 8, 0, -1)[STACK[0]])
    else:
        assert reason(tmp_path / "a.tif", reading(1)) == refused


COLORS = np.moveaxis(STACK, 0, -1).astype(np.uint8)
TABLE = RANDOM.integers(0, 65536, (3, 256)).astype(np.uint16)
PICTURES: dict[str, tuple[Pixels, dict[str, Any]]] = {
    "gray": (COLORS[..., 0], {"photometric": "minisblack"}),
    "gray in planes": (STACK.astype(np.uint8), {"photometric": "minisblack", "planarconfig": "separate"}),
    "1 bit": (COLORS[..., 0] > 99, {"photometric": "minisblack"}),
    "colors": (COLORS, {"photometric": "rgb"}),
    "colors in planes": (STACK.astype(np.uint8), {"photometric": "rgb", "planarconfig": "separate"}),
    "table of colors": (COLORS[..., 0], {"photometric": "palette", "colormap": TABLE}),
    "inks": (np.dstack([COLORS, COLORS[..., :1]]), {"photometric": "separated"}),
}
STORED: list[dict[str, Any]] = [
    {},
    {"compression": "lzw"},
    {"compression": "packbits"},
    {"tile": (16, 16)},
    {"rowsperstrip": 5},
]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_of_8_bits_is_what_tifffile_reads_of_it_turned_as_it_says(
    tmp_path: Path, kind: str, orientation: int
) -> None:
    written, options = PICTURES[kind]
    height, width = (32, 24) if orientation < 5 else (24, 32)
    path, tag = tmp_path / "a.tif", (274, 3, 1, orientation, True)
    for stored in STORED:
        tifffile.imwrite(path, written, metadata=None, extratags=[tag], **options, **stored)
        theirs = tifffile.imread(path)
        if kind == "table of colors":
            theirs = np.moveaxis(TABLE >> 8, 0, -1)[theirs]
        elif kind == "inks":  # as Pillow mixes them
            theirs = np.asarray(Image.fromarray(theirs, "CMYK").convert("RGB"))
        elif kind == "1 bit":
            theirs = theirs * np.uint8(255)
        if options.get("planarconfig"):
            theirs = np.moveaxis(theirs, 0, -1)
        shown = turned(theirs.reshape(32, 24, -1), orientation)
        assert np.array_equal(values(path, reading(3, height, width)), np.broadcast_to(shown, (height, width, 3)))


def test_no_plane_of_gray_values_is_left_out(tmp_path: Path) -> None:
    for stored in STORED:
        options: dict[str, Any] = {"photometric": "minisblack", "planarconfig": "separate", "metadata": None}
        tifffile.imwrite(tmp_path / "a.tif", STACK.astype(np.uint8), **options, **stored)
        assert values(tmp_path / "a.tif", reading(1)).shape == (32, 24, 3)  # which is refused as another number
        opaque = np.stack([STACK[0], np.full_like(STACK[0], 255)]).astype(np.uint8)
        tifffile.imwrite(tmp_path / "a.tif", opaque, extrasamples=["unassalpha"], **options, **stored)
        assert np.array_equal(values(tmp_path / "a.tif", reading(1))[..., 0], STACK[0])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("photometric", "known"), [("minisblack", 1), ("rgb", 3), ("separated", 4)])
@pytest.mark.parametrize("kinds", [["unspecified"], ["unassalpha", "unspecified"]])
def test_values_that_a_file_does_not_call_alpha_count_as_channels(
    tmp_path: Path, dtype: Any, photometric: Any, known: int, kinds: list[Any]
) -> None:
    pixels = RANDOM.integers(0, 256, (32, 24, known + len(kinds))).astype(dtype)
    for stored in STORED:
        options: dict[str, Any] = {"photometric": photometric, "planarconfig": "contig", "metadata": None}
        tifffile.imwrite(tmp_path / "a.tif", pixels, extrasamples=kinds, **options, **stored)
        for channels in (1, 3):
            read = values(tmp_path / "a.tif", reading(channels))  # whose number of channels is refused as another one
            assert np.array_equal(read, pixels)


def write_one_of_a_set(path: Path, plane: Pixels, other: str) -> Path:
    """Write one channel to a file whose metadata name another file with the second channel."""
    channels = "".join(
        f'<TiffData FirstC="{number}" IFD="0" PlaneCount="1"><UUID FileName="{name}">urn:uuid:{name}</UUID></TiffData>'
        for number, name in enumerate((path.name, other))
    )
    described = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
        f'UUID="urn:uuid:{path.name}">'
        '<Image ID="Image:0"><Pixels DimensionOrder="XYCZT" ID="Pixels:0" SizeC="2" SizeT="1" SizeX="24" SizeY="32" '
        'SizeZ="1" Type="uint16"><Channel ID="Channel:0:0" SamplesPerPixel="1"/>'
        f'<Channel ID="Channel:0:1" SamplesPerPixel="1"/>{channels}</Pixels></Image></OME>'
    )
    tifffile.imwrite(path, plane, description=described, metadata=None)
    return path


@pytest.mark.timeout(20)
def test_no_other_file_of_a_set_is_opened(tmp_path: Path) -> None:
    planes = STACK.astype(np.uint16)
    files = (
        write_one_of_a_set(tmp_path / "a.ome.tif", planes[0], "b.ome.tif"),
        write_one_of_a_set(tmp_path / "b.ome.tif", planes[1], "a.ome.tif"),
        write_one_of_a_set(tmp_path / "c.ome.tif", planes[2], "pipe.ome.tif"),
    )
    os.mkfifo(tmp_path / "pipe.ome.tif")
    for file, plane in zip(files, planes, strict=True):
        assert np.array_equal(values(file, reading(1))[..., 0], plane)
    joined = decode(files, reading(3, channel_names=["A", "B", "C"]))
    assert isinstance(joined, Decoded) and np.array_equal(joined.values, np.moveaxis(planes, 0, -1))
