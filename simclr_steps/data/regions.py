"""Rectangular parts of images that are larger than what is packed, read without the rest where files allow it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from simclr_steps.settings.sizes import Size

Values = npt.NDArray[Any]  # [h, w, C] of uint8, uint16 or float32


@dataclass(frozen=True)
class Box:
    """A part of an image in pixels from its upper left corner, x to the right and y down, as the image is shown."""

    x: int
    y: int
    width: int
    height: int

    def __str__(self) -> str:
        """Return the box as it stands in the name of an image."""
        return f"x={self.x},y={self.y},w={self.width},h={self.height}"

    def is_in(self, size: Size) -> bool:
        """Return whether it lies in an image."""
        height, width = size
        return min(self.x, self.y) >= 0 and self.x + self.width <= width and self.y + self.height <= height

    def of(self, values: Values) -> Values:
        """Return this part of an image [H, W, …]."""
        return values[self.y : self.y + self.height, self.x : self.x + self.width]


class Regions(Protocol):
    """An open image whose parts can be read; `size` is its height and width as it is shown."""

    size: Size

    def read(self, box: Box) -> Values:
        """Return the values of a part of the image, [h, w, C]."""

    def close(self) -> None:
        """Close the image's files."""


class WholeImage:
    """An image whose file has no parts to read, so that it is in memory."""

    def __init__(self, values: Values) -> None:
        height, width = values.shape[:2]
        self.size = (height, width)
        self._values = values

    def read(self, box: Box) -> Values:
        """Return the values of a part, [h, w, C]."""
        return box.of(self._values)

    def close(self) -> None:
        """Let the memory go."""
        self._values = np.empty((0, 0, 0))


class Channels:
    """The channels of an image that has a file for each; `join` makes one image of the same part of all."""

    def __init__(self, files: Sequence[Regions], join: Callable[[Sequence[Values]], Values]) -> None:
        self.size = files[0].size
        self._files, self._join = files, join

    def read(self, box: Box) -> Values:
        """Return the values of a part, [h, w, C]."""
        return self._join([file.read(box) for file in self._files])

    def close(self) -> None:
        """Close all files."""
        with ExitStack() as stack:
            for file in self._files:
                stack.callback(file.close)
