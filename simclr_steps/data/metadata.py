"""What an image file says beside its pixels, which may be wrong in any way: the pixels are read nevertheless."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy.typing as npt
from PIL import ExifTags, Image

from simclr_steps.settings.sizes import Size

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = (b"tRNS", b"eXIf")  # beside the chunks that no PNG file does without
_JPEG = b"\xff\xd8"
_START_OF_SCAN = 0xDA
_JPEG_KEPT = {0xE0: 14, 0xE1: 0, 0xEE: 12}  # JFIF, EXIF and Adobe's, by the bytes that they have at least

Place = tuple[int, int, int, int]  # x, y, width and height in pixels

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def upright(image: Image.Image) -> Image.Image:
    """Return an image turned as its orientation says, or as it is where that cannot be read.

    Unlike Pillow's `exif_transpose` it writes no metadata, which fails for some that can be read.
    """
    turn = _TURNS.get(orientation(image))
    return image if turn is None else image.transpose(turn)


def orientation(image: Image.Image) -> int:
    """Return the number from 1 to 8 that says how an image is to be turned, or 1 where it cannot be read."""
    image.load()  # a PNG's orientation may follow the pixels, and a TIFF is turned by this
    try:
        number = image.getexif().get(ExifTags.Base.Orientation, 1)
        return number if number in _TURNS else 1
    except Exception:  # damaged metadata can fail in any way
        return 1


def turned(values: npt.NDArray[Any], number: int) -> npt.NDArray[Any]:
    """Return an array [H, W, C] turned as the number of an orientation says."""
    if number >= 5:
        values = values.swapaxes(0, 1)
    if number in (2, 3, 6, 7):
        values = values[:, ::-1]
    return values[::-1] if number in (3, 4, 7, 8) else values


def stored_place(place: Place, size: Size, number: int) -> Place:
    """Return where a part of an upright image lies in the stored one of this height and width.

    It is what `turned`, with the same number of an orientation, turns into that part.
    """
    x, y, width, height = place
    tall, wide = size if number < 5 else size[::-1]
    if number in (3, 4, 7, 8):
        y = tall - y - height
    if number in (2, 3, 6, 7):
        x = wide - x - width
    return (x, y, width, height) if number < 5 else (y, x, height, width)


def without_metadata(path: Path) -> io.BytesIO | None:
    """Return a JPEG or PNG file with what decides its pixels and orientation only; None for other files."""
    with path.open("rb") as file:
        start = file.read(len(_PNG))
        if start == _PNG:
            return io.BytesIO(_PNG + b"".join(_png_chunks(file.read())))
        if start.startswith(_JPEG):
            return io.BytesIO(_JPEG + b"".join(_jpeg_segments(start[len(_JPEG) :] + file.read())))
    return None


def _png_chunks(content: bytes) -> Iterator[bytes]:
    """Yield the chunks that make up the pixels, and those for transparency and EXIF if they are intact."""
    place = 0
    while place < len(content):
        kind = content[place + 4 : place + 8]
        chunk = content[place : place + 12 + int.from_bytes(content[place : place + 4])]
        is_intact = zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:])
        if kind[:1].isupper() or (kind in _PNG_KEPT and is_intact):  # the format's sign of what must not be left out
            yield chunk
        place += len(chunk)


def _jpeg_segments(content: bytes) -> Iterator[bytes]:
    """Yield the segments that are no application's, those that matter, and all from the first scan on."""
    place = 0
    while place + 4 <= len(content) and content[place] == 0xFF and content[place + 1] != _START_OF_SCAN:
        marker = content[place + 1]
        segment = content[place : place + 2 + int.from_bytes(content[place + 2 : place + 4])]
        is_aside = 0xE0 <= marker <= 0xEF or marker == 0xFE  # of applications, or a comment
        if not is_aside or len(segment) - 4 >= _JPEG_KEPT.get(marker, len(segment)):
            yield segment
        place += max(len(segment), 2)
    yield content[place:]
