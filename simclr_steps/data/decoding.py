"""Turn image files of any size, mode and depth into small arrays of one size and number of channels."""

from __future__ import annotations

import io
import math
import stat
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from simclr_steps.data.complaints import complaints_raised
from simclr_steps.data.conversions import noting
from simclr_steps.data.file_kinds import converter_of, kind_of
from simclr_steps.data.measured_files import Values, read_tiff, read_values
from simclr_steps.data.metadata import upright, without_metadata
from simclr_steps.data.pillow_modes import bands, picture_mode
from simclr_steps.data.readable import File, UnreadableError
from simclr_steps.settings.image_format import Dtype, Reading
from simclr_steps.settings.sizes import Size

Box = tuple[float, float, float, float]  # left, top, right and bottom, in pixels

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")


@dataclass(frozen=True)
class Decoded:
    """An image of the wanted size.

    `values` [H, W, C] are uint8, or float32 for files of other types and where `fit: pad` adds margins, which are NaN.
    The number of channels is the file's where they are no gray level or colors.
    """

    values: npt.NDArray[Any]
    dtype: Dtype  # of the values in the file
    kept: float  # share of the file's pixels that did not fall off
    conversions: frozenset[str] = frozenset()  # see simclr_steps.data.conversions


def decode(file: File, reading: Reading) -> Decoded | str:
    """Read an image, or return the reason why it cannot be read.

    The image is turned as its EXIF data say if they can be read; the largest part in its middle that has the shape of
    the wanted size, or with `fit: pad` all of it, is resized with Pillow's bicubic filter, which takes all pixels into
    account when it makes an image smaller. Of an animation the first frame is taken; the transparent parts of a picture
    become white. Types other than uint8, uint16 and float32 are unreadable, as are values that are NaN or infinite, and
    images so large that Pillow takes them for a decompression bomb.
    """
    with quietly(), noting() as conversions:
        image = _decode(file, reading)
    return image if isinstance(image, str) else replace(image, conversions=frozenset(conversions))


@contextmanager
def quietly() -> Iterator[None]:
    """Keep Pillow from warning of metadata, which it does without the file's name."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
        yield


def _decode(file: File, reading: Reading) -> Decoded | str:
    try:
        check_regular(file)
    except (OSError, UnreadableError) as error:
        return reason_of(error, file)
    try:
        return _decoded(file, reading) if isinstance(file, Path) else resized(_joined(file, reading), reading)
    except Exception as error:  # a damaged file can make a decoder fail in any way
        reason = reason_of(error, file)
    if isinstance(file, Path) and reading.is_picture:
        with suppress(Exception):  # what makes it fail may be no more than metadata
            if pixels := without_metadata(file):
                return _picture(pixels, reading)
        try:  # of 8 bits, with a compression that Pillow does not know
            return resized(read_tiff(file, reading), reading)
        except UnreadableError as error:
            reason = str(error)
        except Exception:  # the reason that Pillow gave stands
            return reason
    return reason


def check_regular(file: File) -> None:
    """Raise UnreadableError for a pipe or the like, which would wait for a writer once it is opened."""
    for path in [file] if isinstance(file, Path) else file:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnreadableError("it is not a regular file")


def reason_of(error: Exception, file: File) -> str:
    """Return why a file cannot be read, given how reading it failed, as the end of a sentence."""
    if isinstance(error, UnidentifiedImageError):
        return _what_it_is(file) if isinstance(file, Path) else "a file of a channel is no image"
    said = " ".join(str(error).split()) or type(error).__name__
    is_of_system = isinstance(error, OSError) and error.errno is not None
    if is_of_system or isinstance(error, UnreadableError | MemoryError | Image.DecompressionBombError):
        return said
    return f"it seems to be damaged: {said}"


def _what_it_is(path: Path) -> str:
    """Return what a file is whose content is no image of a format that is read."""
    kind = kind_of(path)
    if advice := converter_of(path):
        return f"it is {kind or f'a {path.suffix} file'}: {advice}"
    known = ", ".join(_FORMATS)
    if kind is None:
        return f"it is damaged, or not one of {known}"
    if kind.removesuffix(" image").partition(" ")[2].upper() in _FORMATS:
        return f"it is {kind}, but damaged"
    return f"it is {kind}: convert it to PNG" if kind.endswith("image") else f"it is {kind}, not one of {known}"


def _decoded(path: Path, reading: Reading) -> Decoded:
    if not reading.is_picture:
        return resized(_whole(path, reading), reading)
    values = read_values(path, reading)
    return _picture(path, reading) if values is None else resized(values, reading)


def _picture(file: Path | io.BytesIO, reading: Reading) -> Decoded:
    """Return a gray or color image of 8 bits as Pillow reads it."""
    enough = 2 * max(reading.size)  # in both directions, as the image may be turned
    return small_picture(_opened_picture(file, reading, (enough, enough)), reading)


def small_picture(whole: Image.Image, reading: Reading) -> Decoded:
    """Return a picture of 8 bits, in mode L or RGB, at the wanted size."""
    inner, box, kept = _place((whole.height, whole.width), reading)
    small = np.asarray(_small(whole, inner, box), dtype=np.uint8).reshape(*inner, -1)
    return Decoded(_padded(small, reading.size), "uint8", kept)


def _opened_picture(file: Path | io.BytesIO, reading: Reading, at_least: Size | None) -> Image.Image:
    """Return a picture of 8 bits, upright, which of a JPEG need not be larger than `at_least`."""
    # By its name Pillow would map an uncompressed TIFF into memory, and then not turn it as its orientation says.
    opened = file.open("rb") if isinstance(file, Path) else file
    with opened as stream, Image.open(stream, formats=_FORMATS) as image:
        if at_least:
            image.draft(None, at_least)  # JPEG: decode at a fraction of the size, still twice too large
        with complaints_raised() if image.format == "TIFF" else nullcontext():
            return picture_mode(upright(image), reading)


def read_whole(path: Path, reading: Reading) -> Values:
    """Return an image of a file as it is, upright, [H, W, C] of uint8, uint16 or float32.

    A damaged file can fail in any way; see reason_of.
    """
    if not reading.is_picture:
        return _whole(path, reading)
    values = read_values(path, reading)
    if values is not None:
        return values
    picture = _opened_picture(path, reading, None)
    return np.asarray(picture, dtype=np.uint8).reshape(picture.height, picture.width, -1)


def _whole(path: Path, reading: Reading) -> Values:
    """Return all channels of a file as they are, which are no gray level or colors."""
    values = read_values(path, reading)
    if values is not None:
        return values
    with Image.open(path, formats=_FORMATS) as image:
        whole = upright(image)
    return bands(whole)


def _joined(paths: Sequence[Path], reading: Reading) -> Values:
    """Return the channels of an image that has a file for each."""
    return join(paths, [_whole(path, of_one_channel(reading)) for path in paths], reading)


def of_one_channel(reading: Reading) -> Reading:
    """Return how the file of a single channel is read, whose values are as they are."""
    return reading.model_copy(update={"channels": 1, "channel_names": ["one"]})


def join(paths: Sequence[Path], planes: Sequence[Values], reading: Reading) -> Values:
    """Return the channels [H, W, 1] of all files as one image.

    Raises
    ------
    UnreadableError
        When they are not alike.
    """
    names = reading.channel_names or [path.name for path in paths]
    for path, name, plane in zip(paths, names, planes, strict=True):
        if plane.shape[2] != 1:
            raise UnreadableError(f"{path.name} of channel {name} has {plane.shape[2]} channels: give a file with one")
        if (plane.shape, plane.dtype) != (planes[0].shape, planes[0].dtype):
            raise UnreadableError(f"{path.name} is {_described(plane)}, and {paths[0].name} {_described(planes[0])}")
    return np.concatenate(planes, axis=2)


def _described(plane: Values) -> str:
    return f"{plane.shape[0]} × {plane.shape[1]} {plane.dtype}"


def resized(whole: Values, reading: Reading, nodata: float | None = None) -> Decoded:
    """Return an image of any type and any number of channels at the wanted size.

    Pixels that are `nodata` in all channels become NaN, and so do those of the result that are mostly made of such.

    Raises
    ------
    UnreadableError
        When there are no values, or some are NaN or infinite.
    """
    if not whole.size:
        raise UnreadableError("it holds no pixels")
    missing = _missing(whole, nodata)
    if wrong := int((~np.isfinite(whole[~missing])).sum()):
        raise UnreadableError(f"{wrong:,} of its {whole.size:,} values are NaN or infinite: replace them")
    inner, box, kept = _place(whole.shape[:2], reading)
    if missing.any():
        values = _without(missing, whole, inner, box)
    else:
        kind = np.uint8 if whole.dtype == np.uint8 else np.float32
        values = _each_small(whole.astype(kind, copy=False), inner, box)
    if whole.dtype != np.float32:  # as Pillow does it for 8 bits, where the filter leaves the type's range
        values = values.clip(0, np.iinfo(whole.dtype).max)
    return Decoded(_padded(values, reading.size), whole.dtype.name, kept)  # type: ignore[arg-type]


def _missing(whole: Values, nodata: float | None) -> npt.NDArray[np.bool_]:
    """Return which pixels are missing: [H, W]."""
    if nodata is None:
        return np.zeros(whole.shape[:2], dtype=bool)
    return np.asarray((np.isnan(whole) if math.isnan(nodata) else whole == nodata).all(axis=2))


def _without(missing: npt.NDArray[np.bool_], whole: Values, inner: Size, box: Box) -> Values:
    """Return an image at another size whose pixels are means of those that are not missing, or NaN."""
    filled = np.where(missing[..., None], 0, whole).astype(np.float32)
    present = _each_small((~missing[..., None]).astype(np.float32), inner, box)
    values = _each_small(filled, inner, box)
    return np.divide(values, present, out=np.full_like(values, np.nan), where=present > 0.5)


def _each_small(whole: Values, inner: Size, box: Box) -> Values:
    """Return an image of uint8 or float32 at another size, each channel by itself."""
    channels = [np.ascontiguousarray(whole[..., channel]) for channel in range(whole.shape[2])]
    return np.stack([np.asarray(_small(Image.fromarray(plane), inner, box)) for plane in channels], axis=2)


def _small(image: Image.Image, size: Size, box: Box) -> Image.Image:
    """Return a part of an image at another size; values of 8 bits are equal however their file was read."""
    gap = None if image.mode == "F" else 2.0  # averages whole pixels first, where many become one
    return image.resize(size[::-1], Image.Resampling.BICUBIC, box=box, reducing_gap=gap)


def _place(size: Size, reading: Reading) -> tuple[Size, Box, float]:
    """Return the size of an image inside the wanted one, which of its parts fills that, and the part's share."""
    height, width = size
    if reading.fit == "pad":
        scale = min(reading.height / height, reading.width / width)
        return (max(1, round(scale * height)), max(1, round(scale * width))), (0, 0, width, height), 1.0
    part_height, part_width = (
        min(height, width * reading.height / reading.width),
        min(width, height * reading.width / reading.height),
    )
    left, top = (width - part_width) / 2, (height - part_height) / 2
    box = (left, top, left + part_width, top + part_height)
    return reading.size, box, part_height * part_width / (height * width)


def _padded(values: npt.NDArray[Any], size: Size) -> npt.NDArray[Any]:
    """Return an image [h, w, C] in the middle of a larger one, of float32, whose margins are NaN."""
    if values.shape[:2] == size:
        return values
    whole = np.full((*size, values.shape[2]), np.nan, dtype=np.float32)
    top, left = ((large - small) // 2 for large, small in zip(size, values.shape, strict=False))
    whole[top : top + values.shape[0], left : left + values.shape[1]] = values
    return whole
