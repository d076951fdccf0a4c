"""Parts of TIFF files are, pixel for pixel, what tifffile reads of the whole file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from simclr_steps.data.boxes import Box
from simclr_steps.data.measured_files import read_tiff
from simclr_steps.data.readable import UnreadableError
from simclr_steps.data.tiff_regions import TiffRegions
from simclr_steps.settings.image_format import Reading

SIZE = (150, 210)
BOXES = [Box(0, 0, 64, 48), Box(33, 17, 100, 101), Box(209, 149, 1, 1), Box(0, 0, 210, 150), Box(130, 90, 80, 60)]


def noise(*shape: int, dtype: Any = np.uint16) -> npt.NDArray[Any]:
    generator = np.random.default_rng(0)
    if dtype == np.float32:
        return generator.normal(size=shape).astype(np.float32)
    return generator.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def reading(channels: int = 1, **changed: Any) -> Reading:
    names = [f"c{number}" for number in range(channels)]
    return Reading(**{"height": 8, "width": 8, "channels": channels, "channel_names": names, **changed})


def assert_parts_are_those_of(whole: npt.NDArray[Any], path: Path, how: Reading, level: int = 0) -> None:
    """Compare parts of a file with those of an image [H, W, C]."""
    regions = TiffRegions(path, how, level)
    assert regions.size == whole.shape[:2]
    for box in BOXES:
        height, width = whole.shape[:2]
        if not box.is_in((height, width)):
            continue
        part = regions.read(box)
        assert part.dtype == whole.dtype.newbyteorder("=") and part.dtype.isnative
        assert np.array_equal(part, whole[box.y : box.y + box.height, box.x : box.x + box.width])
    regions.close()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"byteorder": ">"},
        {"bigtiff": True, "tile": (64, 32)},
        {"tile": (32, 48), "compression": "zlib", "predictor": True},
        {"rowsperstrip": 7},
        {"rowsperstrip": 7, "compression": "lzw"},
        {"compression": "zstd", "byteorder": ">", "predictor": True},
    ],
)
def test_parts_of_one_page_are_those_of_the_whole(tmp_path: Path, dtype: Any, options: dict[str, Any]) -> None:
    options = dict(options)
    kind = {key: options.pop(key) for key in ("byteorder", "bigtiff") if key in options}
    with tifffile.TiffWriter(tmp_path / "a.tif", **kind) as file:
        file.write(noise(*SIZE, dtype=dtype), photometric="minisblack", **options)
    assert_parts_are_those_of(tifffile.imread(tmp_path / "a.tif")[..., None], tmp_path / "a.tif", reading())


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("options", [{}, {"tile": (32, 48), "compression": "zlib"}, {"rowsperstrip": 9}])
def test_parts_of_colors_are_those_of_the_whole(tmp_path: Path, planar: Any, options: dict[str, Any]) -> None:
    colors = noise(*SIZE, 3, dtype=np.uint8)
    stored = np.moveaxis(colors, -1, 0) if planar == "separate" else colors
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar, **options)
    assert_parts_are_those_of(colors, tmp_path / "a.tif", reading(3, channel_names=None))


@pytest.mark.parametrize("ome", [True, False])
@pytest.mark.parametrize("options", [{}, {"tile": (32, 48), "compression": "zlib"}, {"rowsperstrip": 9}])
def test_parts_of_pages_are_those_of_the_whole(tmp_path: Path, ome: bool, options: dict[str, Any]) -> None:
    pages = noise(5, *SIZE)
    path = tmp_path / ("a.ome.tif" if ome else "a.tif")
    tifffile.imwrite(path, pages, photometric="minisblack", metadata={"axes": "CYX"} if ome else None, **options)
    assert_parts_are_those_of(np.moveaxis(tifffile.imread(path), 0, -1), path, reading(5))
    tifffile.imwrite(path, noise(5, 2, *SIZE), photometric="minisblack", metadata={"axes": "ZCYX"}, ome=True, **options)
    assert_parts_are_those_of(np.moveaxis(noise(5, 2, *SIZE).max(axis=0), 0, -1), path, reading(2, planes="max"))
    tifffile.imwrite(path, pages, imagej=True, metadata={"axes": "CYX"})
    assert_parts_are_those_of(np.moveaxis(pages, 0, -1), path, reading(5))


def test_parts_of_a_slide_of_jpeg_tiles_are_those_of_the_whole(tmp_path: Path) -> None:
    smooth = np.indices(SIZE).sum(axis=0)[..., None] * np.array([1, 2, 3]) // 4 % 256
    tifffile.imwrite(tmp_path / "a.tif", smooth.astype(np.uint8), photometric="rgb", tile=(64, 64), compression="jpeg")
    whole = tifffile.imread(tmp_path / "a.tif")
    assert_parts_are_those_of(whole, tmp_path / "a.tif", reading(3, channel_names=None))


@pytest.mark.parametrize("sub_files", [True, False])
def test_levels_of_a_pyramid_are_chosen_by_number(tmp_path: Path, sub_files: bool) -> None:
    path, whole = tmp_path / "a.tif", noise(*SIZE, 3, dtype=np.uint8)
    options: dict[str, Any] = {"photometric": "rgb", "tile": (32, 32), "compression": "zlib"}
    with tifffile.TiffWriter(path, bigtiff=True, ome=sub_files) as file:
        file.write(whole, subifds=2 if sub_files else None, **options)
        for step in (2, 4):
            file.write(whole[::step, ::step], subfiletype=1, **options)
    how = reading(3, channel_names=None)
    for level in (0, 1, 2):
        assert_parts_are_those_of(whole[:: 2**level, :: 2**level], path, how, level)
    with pytest.raises(UnreadableError, match=r"it has 3 levels, and `tiles\.level: 3` counts from 0"):
        TiffRegions(path, how, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_are_places_in_the_image_as_it_is_shown(tmp_path: Path, orientation: int) -> None:
    tag = (274, 3, 1, orientation, True)
    tifffile.imwrite(tmp_path / "a.tif", noise(*SIZE), extratags=[tag], tile=(32, 48), compression="zlib")
    assert_parts_are_those_of(read_tiff(tmp_path / "a.tif", reading()), tmp_path / "a.tif", reading())


def test_tiles_that_were_never_written_are_empty(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", shape=(512, 512), dtype=np.uint16, tile=(64, 64), bigtiff=True)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        counts = file.pages.first.tags["TileByteCounts"]
        counts.overwrite([0] * len(counts.value))
    assert not TiffRegions(tmp_path / "a.tif", reading(), 0).read(Box(60, 60, 200, 100)).any()


def test_a_file_in_pieces_that_are_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    tifffile.imwrite(tmp_path / "a.tif", noise(*SIZE), rowsperstrip=150, compression="zlib")
    with pytest.raises(UnreadableError, match=r"in pieces of 150 × 210 pixels, too large .*: save it in tiles"):
        TiffRegions(tmp_path / "a.tif", reading(), 0)
