"""The one image that a TIFF file holds, with the axes of its values; no other file is opened for it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from simclr_steps.data.channel_names import names_in
from simclr_steps.data.readable import UnreadableError, check_size, check_type

UNKNOWN = "Q"  # an axis whose meaning the file does not say

_COLORS = (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR)
_GRAY = (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MINISWHITE)
_JUDGED = ("shaped", "generic", "ome")  # kinds of files whose further images are not known to be small copies or labels
_FEW_BITS = (1, 2, 4)  # fewer than 8, of which Pillow makes 8
_UNSUPPORTED = ("not supported", "requires the")  # in what tifffile says of a compression

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # it warns of much that does not keep it from reading


@dataclass(frozen=True)
class StoredImage:
    """The values of an image, with a letter of tifffile for each axis, and what else its file says of them."""

    values: npt.NDArray[Any]
    axes: str
    is_color: bool
    has_alpha: bool
    orientation: int
    channel_names: list[str] | None  # along the axis C, where the file names them


def read_image(path: Path, channels: int) -> StoredImage:
    """Return the image of a file; pages that are alike are one, with an axis for the pages.

    Raises
    ------
    UnreadableError
        When it holds several images, or values that are not read. What is damaged can fail in other ways, too.
    """
    with open_file(path) as file:
        parts = parts_of(file)
        first, page = parts[0], parts[0].keyframe
        check_size(first.shape, channels)
        check_parts(parts)
        with known_compression(page):
            arrays = [part.asarray() for part in parts]
        return stored_image(arrays, parts)


@contextmanager
def known_compression(page: tifffile.TiffPage) -> Iterator[None]:
    """Name the compression where its pixels cannot be decoded because it is unknown."""
    try:
        yield
    except ValueError as error:
        if any(words in str(error) for words in _UNSUPPORTED):
            name = tifffile.COMPRESSION(page.compression).name
            raise UnreadableError(
                f"its compression {name} is read by neither tifffile nor imagecodecs: save it with another, "
                "such as deflate"
            ) from error
        raise


def stored_image(arrays: Sequence[npt.NDArray[Any]], parts: Sequence[tifffile.TiffPageSeries]) -> StoredImage:
    """Return the values of all parts of a file's image, or of one place in each, as one image."""
    page = parts[0].keyframe
    return StoredImage(
        values=_as_light(np.stack(arrays) if len(arrays) > 1 else arrays[0], page),
        axes=(UNKNOWN if len(parts) > 1 else "") + parts[0].axes,
        is_color=page.photometric in _COLORS,
        has_alpha=page.extrasamples == (tifffile.EXTRASAMPLE.UNASSALPHA,),
        orientation=orientation_of(page),
        channel_names=_channel_names(page.parent),
    )


def orientation_of(page: tifffile.TiffPage) -> int:
    """Return the number from 1 to 8 that says how a page is to be turned."""
    tag = page.tags.get("Orientation")
    return int(tag.value) if tag else 1


def channel_names(path: Path) -> list[str] | None:
    """Return the names that a file gives its channels, None where it gives none or is no TIFF file that is read."""
    try:
        with open_file(path) as file:
            return _channel_names(file)
    except Exception:
        return None


def _channel_names(file: tifffile.TiffFile) -> list[str] | None:
    first = file.series[0]
    if not file.ome_metadata or "C" not in first.axes:
        return None
    names = names_in(file.ome_metadata)
    return names if len(names) == first.shape[first.axes.index("C")] and all(names) else None


def is_plain_picture(path: Path) -> bool:
    """Return whether a file holds one page of 8 bits or fewer, or is damaged, or odd in a way that Pillow may know."""
    try:
        with open_file(path) as file:
            first = file.series[0]
            has_pages = any(
                length > 1 for axis, length in zip(first.axes, first.shape, strict=True) if axis not in "YXS"
            )
            is_shallow = first.dtype in (np.uint8, np.bool_)
            return is_shallow and not has_pages and not _loses_values(first.keyframe) and not _others(file)
    except Exception:
        return True


def _loses_values(page: tifffile.TiffPage) -> bool:
    """Return whether Pillow would leave out values of each pixel: gray planes after the first, or what is not named.

    A value that the file does not call alpha may be a channel, such as the near infrared of a satellite image.
    """
    is_planar = page.planarconfig == tifffile.PLANARCONFIG.SEPARATE
    has_gray_planes = is_planar and page.photometric in _GRAY and page.samplesperpixel > 1
    is_table = page.photometric == tifffile.PHOTOMETRIC.PALETTE
    return has_gray_planes or (tifffile.EXTRASAMPLE.UNSPECIFIED in page.extrasamples and not is_table)


def check_parts(parts: Sequence[tifffile.TiffPageSeries]) -> None:
    """Raise UnreadableError where pages are missing, or values are of another type or not how much light there is."""
    page, dtype = parts[0].keyframe, parts[0].dtype
    if any(found is None for part in parts for found in part.pages):
        raise UnreadableError("a page is missing, which its metadata name")
    check_type(np.dtype(np.uint8) if dtype == np.bool_ else dtype)
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE:
        raise UnreadableError("its values are indices into a table of colors: save it as gray values or RGB")
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and page.dtype == np.float32:
        raise UnreadableError("its values are float32, of which the least is white: save it with black as the least")
    if page.bitspersample < 8 and page.bitspersample not in _FEW_BITS:
        raise UnreadableError(f"its values have {page.bitspersample} bits: convert them to 8")


def _as_light(values: npt.NDArray[Any], page: tifffile.TiffPage) -> npt.NDArray[Any]:
    """Return values that are the larger the brighter, and those of fewer than 8 bits as 0 to 255, as Pillow does it."""
    largest = (1 << page.bitspersample) - 1
    if values.dtype == np.bool_:
        values = values.astype(np.uint8)
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        values = largest - values
    return values * (255 // largest) if largest < 255 else values


def open_file(path: Path) -> tifffile.TiffFile:
    """Open a file, without others that belong to the same recording, which tifffile would read as well."""
    return tifffile.TiffFile(path, _multifile=False, is_mmstack=False, is_ndtiff=False)


def parts_of(file: tifffile.TiffFile) -> list[tifffile.TiffPageSeries]:
    """Return the only image of a file, or all of them if they are pages that were written one by one."""
    parts = [file.series[0], *_others(file)]
    if len({(part.shape, part.dtype) for part in parts}) > 1:
        found = [f"{' × '.join(map(str, part.shape))} {part.dtype.name}" for part in parts]
        raise UnreadableError(
            f"its pages are not alike ({', '.join(dict.fromkeys(found))}): save each as a file of its own"
        )
    if len(parts) > 1 and parts[0].kind == "ome":
        raise UnreadableError(f"it holds {len(parts)} images: save each as a file of its own")
    return parts


def _others(file: tifffile.TiffFile) -> list[tifffile.TiffPageSeries]:
    """Return the images after the first, without its masks and smaller copies."""
    first = file.series[0]
    if first.kind not in _JUDGED:
        return []
    # tifffile takes a page for a smaller copy if its size is half, even where the file does not say that it is one.
    others = [*file.series[1:], *(first.levels[1:] if first.kind == "generic" else [])]
    pages = [(part, part.keyframe) for part in others]
    return [part for part, page in pages if not (page.is_reduced or page.is_mask or page.is_subifd)]
