"""Small copies of packed images: to draw in a figure, or all in one picture for a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image

Images = npt.NDArray[np.uint8]
Mix = Mapping[int, tuple[int, int, int]]
Packed = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

_LOSSY_QUALITIES = (80, 50, 20, 5)  # WebP's, from 100
_TRIED = 256  # tiles, to guess how large a lossless picture of all would be


def thumbnails(images: Packed, side: int, mix: Mix | None = None) -> Images:
    """Return copies no larger than `side` pixels: [N, H, W, C] to uint8 [N, h, w, 3].

    `mix` says how much of red, green and blue the color of each channel has that is shown; without it images have one
    channel, shown in gray, or three, which are red, green and blue.
    """
    height, width = images.shape[1:3]
    scale = min(1.0, side / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.empty((len(images), size[1], size[0], 3), dtype=np.uint8)
    for number, image in enumerate(images):
        shown = _in_8_bits(image) if mix is None else _mixed(image, mix)
        picture = Image.fromarray(np.squeeze(shown, axis=2) if shown.shape[2] == 1 else shown).convert("RGB")
        small[number] = picture if picture.size == size else picture.resize(size, Image.Resampling.BOX)
    return small


def _in_8_bits(image: Packed) -> Images:
    shown = image if image.dtype == np.uint8 else np.rint(image * np.float32(255 / 65_535))
    return shown.astype(np.uint8, copy=False)


def _mixed(image: Packed, mix: Mix) -> Images:
    """Return an image, [H, W, C], in the colors of some of its channels: uint8 [H, W, 3]."""
    lights = np.array(list(mix.values()), dtype=np.float32) * np.float32(255 / np.iinfo(image.dtype).max)
    shown = image[..., list(mix)].astype(np.float32) @ lights
    return np.rint(np.minimum(shown, 255)).astype(np.uint8)


def sprite_columns(count: int) -> int:
    """Return the number of columns in a sprite of `count` small images."""
    return int(np.ceil(np.sqrt(count)))


def sprite(tiles: Images, room: int) -> str:
    """Put small images, uint8 [N, h, w, 3], into one picture, row by row; return it as a data: address.

    It is lossless where that fits into `room` bytes, else as good as fits.
    """
    picture = _sheet(tiles)
    guess = len(_encode(_sheet(tiles[:_TRIED]), "png")) * len(tiles) / min(len(tiles), _TRIED)
    if guess < room:  # a lossless picture of photographs takes seconds to make, and then does not fit
        lossless = _address(_encode(picture, "png"), "png")
        if len(lossless) <= room:
            return lossless
    for quality in _LOSSY_QUALITIES:
        lossy = _address(_encode(picture, "webp", quality=quality, method=2), "webp")
        if len(lossy) <= room:
            break
    return lossy


def sheet_file(tiles: Images) -> bytes:
    """Put small images, uint8 [N, h, w, 3], into one picture, row by row; return it as a WebP file."""
    return _encode(_sheet(tiles), "webp", quality=_LOSSY_QUALITIES[0], method=2)


def _address(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _sheet(tiles: Images) -> Image.Image:
    count, height, width, channels = tiles.shape
    columns = sprite_columns(count)
    rows = -(-count // columns)
    padded = np.zeros((rows * columns, height, width, channels), dtype=np.uint8)
    padded[:count] = tiles
    sheet = padded.reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    return Image.fromarray(np.ascontiguousarray(sheet.reshape(rows * height, columns * width, channels)))


def _encode(picture: Image.Image, kind: str, **options: int) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()
