"""TIFF, 16-bit PNG and .npy files as arrays with the values that were measured, of whatever type and axes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from simclr_steps.data.channel_names import places_of
from simclr_steps.data.conversions import TO_COLOR, TO_GRAY, TO_WHITE, note
from simclr_steps.data.metadata import orientation, turned
from simclr_steps.data.readable import File, UnreadableError, check_size, check_type
from simclr_steps.data.stored_arrays import read_header
from simclr_steps.data.tiff_files import StoredImage, channel_names, is_plain_picture, read_image
from simclr_steps.machine.logs import log
from simclr_steps.settings.image_format import Reading

Values = npt.NDArray[Any]  # [H, W, C] of uint8, uint16 or float32

_NUMPY, _PNG = b"\x93NUMPY", b"\x89PNG\r\n\x1a\n"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_DEPTH_OF_PNG = 24  # where its header says how many bits a value has
_SIZE_OF_PNG = (slice(20, 24), slice(16, 20))  # the same for height and width
_PLANES = {"Z": "focal planes (Z)", "T": "points in time (T)"}
_WEIGHTS = (0.299, 0.587, 0.114)  # of red, green and blue in a gray value, as Pillow has them


def read_values(path: Path, reading: Reading) -> Values | None:
    """Return an image's values, or None for one that Pillow reads: a picture of 8 bits, or a file of another format.

    Raises
    ------
    UnreadableError
        Why they are not read. What is damaged can fail in other ways, too.
    """
    with path.open("rb") as file:
        start = file.read(_DEPTH_OF_PNG + 1)
    if start.startswith(_NUMPY):
        return _of_npy(path, reading)
    if start.startswith(_TIFF):
        return _of_tiff(path, reading)
    if start.startswith(_PNG) and start[_DEPTH_OF_PNG:] == b"\x10":
        check_size([int.from_bytes(start[place]) for place in _SIZE_OF_PNG], 1)
        return _of_png(path, reading)
    return None


def is_tiff(path: Path) -> bool:
    """Return, judging by its first bytes, whether a file is TIFF."""
    with path.open("rb") as file:
        return file.read(len(_TIFF[0])) in _TIFF


def read_tiff(path: Path, reading: Reading) -> Values:
    """Return the values of a TIFF file, upright; see read_values."""
    return as_values(read_image(path, reading.channels), reading)


def as_values(stored: StoredImage, reading: Reading) -> Values:
    """Return the image that a TIFF file stores, or a part of it, upright; see read_values."""
    asked = reading.channel_names if reading.channel_axis is None else None
    places, values = places_of(asked, stored.channel_names), stored.values
    if places is not None:
        values = values.take(places, axis=stored.axes.index("C"))
    values = _arranged(values, _named(stored.axes, values.shape, reading), reading)
    if reading.is_picture and (stored.is_color or values.shape[2] == 1 + stored.has_alpha):
        values = as_picture(values, reading, has_alpha=stored.has_alpha)
    return turned(values, stored.orientation)


def tell_order_of_channels(file: File, reading: Reading) -> None:
    """Log that the order of a file's channels counts, where their names are other ones than the settings'."""
    found = channel_names(file) if isinstance(file, Path) and reading.channel_axis is None else None
    with suppress(UnreadableError):
        if reading.channel_names and found and places_of(reading.channel_names, found) is None:
            asked = ", ".join(reading.channel_names)
            log.info("%s names its channels %s: they are taken in this order as %s", file, ", ".join(found), asked)


def _of_tiff(path: Path, reading: Reading) -> Values | None:
    """Return the values of a TIFF file, or None for a picture of 8 bits, which Pillow reads."""
    if reading.is_picture and reading.channel_axis is None and reading.planes is None and is_plain_picture(path):
        return None
    return read_tiff(path, reading)


def _of_npy(path: Path, reading: Reading) -> Values:
    with path.open("rb") as file:
        shape, dtype = read_header(file)
    check_type(dtype)
    check_size(shape, reading.channels)
    array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    values = _native(_arranged(array, _axes_of_array(array.shape, reading), reading))
    return as_picture(values, reading, has_alpha=False) if reading.is_picture else values


def _of_png(path: Path, reading: Reading) -> Values:
    import imagecodecs  # slow to import, and few need it

    values: npt.NDArray[Any] = imagecodecs.png_decode(path.read_bytes())
    values = _native(values.reshape(*values.shape[:2], -1))
    if reading.is_picture:
        values = as_picture(values, reading, has_alpha=values.shape[2] in (2, 4))
    with Image.open(path, formats=("PNG",)) as image:
        return turned(values, orientation(image))


def _axes_of_array(shape: Sequence[int], reading: Reading) -> str:
    """Return the axes of a NumPy array as letters, of which one is C if there are three."""
    if len(shape) == 2:
        return "YX"
    stated = f"its shape is {tuple(shape)}"
    if len(shape) != 3:
        raise UnreadableError(
            f"{stated}: store each image as H × W, or with an axis for the channels{_no_planes(reading)}"
        )
    place = reading.channel_axis
    if place is None:
        places = [axis for axis, length in enumerate(shape) if length == reading.channels]
        if len(places) > 1:
            raise UnreadableError(
                f"{stated}, and {len(places)} axes are as long as there are channels, {reading.channels}: set "
                "`channel_axis` to the one that holds them"
            )
        if not places:
            raise UnreadableError(
                f"{stated}, and not one axis is as long as there are channels, {reading.channels}: set `channels` or "
                f"`channel_axis`{_no_planes(reading)}"
            )
        place = places[0]
    elif place >= len(shape):
        raise UnreadableError(f"{stated}, which has no axis {place} for `channel_axis`")
    return "YX"[:place] + "C" + "YX"[place:]


def _no_planes(reading: Reading) -> str:
    """Return the end of a sentence about an array, which names no axes."""
    return "" if reading.planes is None else ", as `planes` is for TIFF files only"


def _named(axes: str, shape: Sequence[int], reading: Reading) -> str:
    """Return the axes of a TIFF file with C for the one that holds the channels, if that is known or set."""
    place = reading.channel_axis
    if place is not None:
        if place >= len(axes) or axes[place] in "YX":
            raise UnreadableError(f"its axes are {axes}, {_sizes(shape)}, of which {place} is none for `channel_axis`")
        return axes[:place] + "C" + axes[place + 1 :]
    unknown = [place for place, axis in enumerate(axes) if axis not in "YXSCZT" and shape[place] > 1]
    if len(unknown) != 1:
        return axes
    place = unknown[0]
    if shape[place] == reading.channels and not any(shape[axes.index(axis)] > 1 for axis in "CS" if axis in axes):
        return axes[:place] + "C" + axes[place + 1 :]
    return axes if reading.planes is None else axes[:place] + "Z" + axes[place + 1 :]


def _arranged(array: npt.NDArray[Any], axes: str, reading: Reading) -> npt.NDArray[Any]:
    """Return an array as H × W × C, with one of its planes, or what becomes of them.

    Raises
    ------
    UnreadableError
        When there are several planes and nothing says what becomes of them, or when the axes mean something else.
    """
    check_type(array.dtype)
    stated = f"its axes are {axes}, {_sizes(array.shape)}"
    for place in reversed(range(len(axes))):
        if array.shape[place] == 1 and axes[place] not in "YX":
            array, axes = array.take(0, axis=place), axes[:place] + axes[place + 1 :]
    planes = [axis for axis in axes if axis in _PLANES]
    if planes:
        array = _one_plane(array, axes, planes, reading)
        axes = "".join(axis for axis in axes if axis not in planes)
    channels = [axis for axis in axes if axis not in "YX"]
    if len(channels) > 1 or any(axis not in "CS" for axis in channels):
        raise UnreadableError(f"{stated}: set `channel_axis` to the one that holds the channels, or `planes`")
    if not channels:
        return np.moveaxis(array[..., None], [axes.index("Y"), axes.index("X")], [0, 1])
    return np.moveaxis(array, [axes.index("Y"), axes.index("X"), axes.index(channels[0])], [0, 1, 2])


def _one_plane(array: npt.NDArray[Any], axes: str, planes: Sequence[str], reading: Reading) -> npt.NDArray[Any]:
    """Return an array without the axes of planes; its type stays, so that a mean of whole numbers is rounded."""
    places = tuple(axes.index(axis) for axis in planes)
    found = " and ".join(f"{array.shape[place]} {_PLANES[axes[place]]}" for place in places)
    wanted = reading.planes
    if wanted is None:
        raise UnreadableError(f"it has {found}: set `planes` to max, mean or the number of one")
    if isinstance(wanted, int):
        if len(places) > 1:
            raise UnreadableError(
                f"it has {found}, of which `planes: {wanted}` does not name one: set it to max or mean"
            )
        if wanted >= array.shape[places[0]]:
            raise UnreadableError(f"it has {found}, and `planes: {wanted}` counts from 0: choose a lower number")
        return np.asarray(np.take(array, wanted, axis=places[0]))
    if wanted == "max":
        return np.asarray(array.max(axis=places))
    mean = array.mean(axis=places, dtype=np.float64)
    return np.asarray((np.rint(mean) if array.dtype.kind == "u" else mean).astype(array.dtype))


def _sizes(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))


def _native(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.asarray(array, dtype=array.dtype.newbyteorder("="))


def as_picture(values: Values, reading: Reading, *, has_alpha: bool) -> Values:
    """Return gray values or colors as those that are wanted, on white where they are transparent; this is noted."""
    if has_alpha:
        values = _on_white(values)
    if reading.channels == 3 and values.shape[2] == 1:
        note(TO_COLOR)
        return values.repeat(3, axis=2)
    if reading.channels == 1 and values.shape[2] == len(_WEIGHTS):
        note(TO_GRAY)
        gray = values @ np.array(_WEIGHTS)
        return np.asarray((np.rint(gray) if values.dtype.kind == "u" else gray).astype(values.dtype))[..., None]
    return values


def _on_white(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return whole numbers without their last channel, which is how opaque a pixel is; the others turn white."""
    if values.dtype.kind != "u":
        raise UnreadableError(f"its values are {values.dtype.name} with an alpha channel: save it without that channel")
    largest = np.iinfo(values.dtype).max
    if (values[..., -1] < largest).any():
        note(TO_WHITE)
    opaque = values[..., -1:] / largest
    return np.asarray(np.rint(values[..., :-1] * opaque + largest * (1 - opaque)).astype(values.dtype))
