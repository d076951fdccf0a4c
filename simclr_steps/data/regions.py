"""Rectangular parts of images that are larger than what is packed, read without the rest where files allow it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from simclr_steps.data.boxes import Box
from simclr_steps.data.conversions import note
from simclr_steps.settings.sizes import Size

Values = npt.NDArray[Any]  # [h, w, C] of uint8, uint16 or float32


class Regions(Protocol):
    """An open image whose parts can be read; `size` is its height and width as it is shown."""

    size: Size

    def read(self, box: Box) -> Values:
        """Return the values of a part of the image, [h, w, C]."""

    def close(self) -> None:
        """Close the image's files."""


class WholeImage:
    """An image whose file has no parts to read, so that it is in memory; `conversions` were noted when it was read."""

    def __init__(self, values: Values, conversions: Iterable[str] = ()) -> None:
        height, width = values.shape[:2]
        self.size = (height, width)
        self._values, self._conversions = values, conversions

    def read(self, box: Box) -> Values:
        """Return the values of a part, [h, w, C]."""
        note(*self._conversions)
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
