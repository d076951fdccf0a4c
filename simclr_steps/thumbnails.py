"""Small copies of packed images: to draw in a figure, or all in one picture for a page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

Images = npt.NDArray[np.uint8]

_MOST_BYTES = 5 * 2**20  # of a sprite, before base64 makes a third more of it
_LOSSY_QUALITIES = (80, 50, 20, 5)  # WebP's, from 100


def thumbnails(images: Images, side: int) -> Images:
    """Return copies no larger than `side` pixels: uint8 [N, H, W, C] with 1 or 3 channels to [N, h, w, 3]."""
    height, width = images.shape[1:3]
    scale = min(1.0, side / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.empty((len(images), size[1], size[0], 3), dtype=np.uint8)
    for number, image in enumerate(images):
        picture = Image.fromarray(np.squeeze(image, axis=2) if image.shape[2] == 1 else image).convert("RGB")
        small[number] = picture if picture.size == size else picture.resize(size, Image.Resampling.BOX)
    return small


@dataclass(frozen=True)
class Sprite:
    """Many small images in one picture, row by row."""

    uri: str  # data:, at most 7 MB
    columns: int
    height: int  # of a small image, in pixels
    width: int


def sprite(tiles: Images) -> Sprite:
    """Put small images, uint8 [N, h, w, 3], into one picture."""
    count, height, width, channels = tiles.shape
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    padded = np.zeros((rows * columns, height, width, channels), dtype=np.uint8)
    padded[:count] = tiles
    sheet = padded.reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    picture = Image.fromarray(np.ascontiguousarray(sheet.reshape(rows * height, columns * width, channels)))
    content = _encode(picture, "png")
    kind = "png"
    for quality in _LOSSY_QUALITIES:
        if len(content) <= _MOST_BYTES:
            break
        content, kind = _encode(picture, "webp", quality=quality, method=2), "webp"
    return Sprite(f"data:image/{kind};base64,{base64.b64encode(content).decode()}", columns, height, width)


def _encode(picture: Image.Image, kind: str, **options: int) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()
