"""Which images are read: the types of their values and their sizes, and the error that says why one is not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from simclr_steps.settings.image_format import ANY_TYPE, TYPES

File = Path | tuple[Path, ...]  # an image in one file, or one in a file for each channel


def shown(file: File) -> Path:
    """Return the path that stands for an image in a message."""
    return file if isinstance(file, Path) else file[0]


class UnreadableError(ValueError):
    """Why an image is not read, as the end of a sentence about its file."""


def check_type(dtype: np.dtype[Any]) -> None:
    """Raise UnreadableError for values of a type that is not read."""
    if dtype.newbyteorder("=").name not in TYPES:
        raise UnreadableError(f"its values are {dtype.name}: convert them to {ANY_TYPE}")


def check_size(shape: Sequence[int], channels: int) -> None:
    """Raise UnreadableError for an array that would be a decompression bomb for Pillow, before it is decoded."""
    if math.prod(shape) > 2 * (Image.MAX_IMAGE_PIXELS or math.inf) * max(1, channels):
        raise UnreadableError(f"it has {' × '.join(map(str, shape))} values, too many to be read at once")
