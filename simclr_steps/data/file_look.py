"""What the head of an image's file tells before it is decoded: its size, and how its channels and planes are stored."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import tifffile
from PIL import ExifTags, Image

from simclr_steps.data.decoding import check_regular, quietly
from simclr_steps.data.measured_files import is_tiff
from simclr_steps.data.readable import UnreadableError
from simclr_steps.data.stored_arrays import read_header
from simclr_steps.data.tiff_files import (
    UNKNOWN,
    channel_names,
    is_plain_picture,
    open_file,
    orientation_of,
    parts_of,
)

_NUMPY = b"\x93NUMPY"
_MOST_CHANNELS = 16  # pages of a TIFF file beyond which they are rather planes, where it does not say what they are
_COLORS = (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR)


@dataclass(frozen=True)
class FileLook:
    """What was seen of a file.

    A picture becomes gray or color as the settings say. Other images have their `channels`, which may be red, green and
    blue (`is_color`), and `channel_names` are those that the file gives.
    """

    height: int  # pixels, upright
    width: int
    is_picture: bool = True
    channels: int = 3
    is_color: bool = True
    channel_names: tuple[str, ...] = ()
    has_planes: bool = False  # focal planes or points in time


def look_at(path: Path) -> FileLook:
    """Return what the head of an existing file tells.

    A damaged file can fail in any way, as reading it can; see simclr_steps.data.decoding.reason_of.
    """
    check_regular(path)
    with path.open("rb") as file:
        is_array = file.read(len(_NUMPY)) == _NUMPY
    if is_array:
        return _of_array(path)
    if is_tiff(path) and not is_plain_picture(path):
        return _of_tiff(path)
    with quietly(), Image.open(path) as image:
        size = image.height, image.width
        with suppress(Exception):  # damaged metadata can fail in any way
            if image.getexif().get(ExifTags.Base.Orientation, 1) >= 5:
                size = size[::-1]
    return FileLook(*size)


def _of_array(path: Path) -> FileLook:
    with path.open("rb") as file:
        shape, dtype = read_header(file)
    if len(shape) == 2:
        return FileLook(*shape)
    if len(shape) != 3:
        raise UnreadableError(f"its shape is {shape}: store each image as H × W, or with an axis for the channels")
    channels = min(shape)
    height, width = (length for axis, length in enumerate(shape) if axis != shape.index(channels))
    is_color = channels == 3 and dtype.itemsize == 1  # deeper ones are measured
    return FileLook(height, width, is_picture=False, channels=channels, is_color=is_color)


def _of_tiff(path: Path) -> FileLook:
    with open_file(path) as file:
        parts = parts_of(file)
        page = parts[0].keyframe
        axes = (UNKNOWN if len(parts) > 1 else "") + parts[0].axes
        shape = (*((len(parts),) if len(parts) > 1 else ()), *parts[0].shape)
        has_alpha = page.extrasamples == (tifffile.EXTRASAMPLE.UNASSALPHA,)
        is_color = page.photometric in _COLORS
        is_turned = orientation_of(page) >= 5
    of_axis = dict(zip(axes, shape, strict=True))
    height, width = of_axis.pop("Y"), of_axis.pop("X")
    long = {axis: length for axis, length in of_axis.items() if length > 1}
    has_planes = bool(long.keys() & {"Z", "T"})
    channels = long.pop("C", 1) * long.pop("S", 1)
    unknown = [length for axis, length in long.items() if axis not in "ZT"]
    if unknown and channels == 1 and unknown[0] <= _MOST_CHANNELS:
        channels = unknown[0]
    elif unknown:
        has_planes = True
    channels -= has_alpha and channels > 1
    return FileLook(
        *((width, height) if is_turned else (height, width)),
        is_picture=channels == 1 or (is_color and channels == 3),
        channels=channels,
        is_color=is_color,
        channel_names=tuple(channel_names(path) or ()) if channels > 1 else (),
        has_planes=has_planes,
    )
