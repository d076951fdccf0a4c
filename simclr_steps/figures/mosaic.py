"""Small images in rows, with names below them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from simclr_steps.figures.plots import as_text, lines_of, new_figure

Images = npt.NDArray[np.uint8]

LARGEST_TILE = 96  # pixels
_PITCH = 1.12  # of tiles that are 1 wide
_NAME_ROOM, _LINE_ROOM = 0.11, 0.23  # below a tile that has a name, and for each of its lines
_USUAL_WIDTH, _MOST_WIDTH, _USUAL_SIZE = 9, 15, 6.5  # characters of a line below a tile, and points
_MOST_BESIDE = 4  # entries of a legend in a line


@dataclass(frozen=True)
class Names:
    """How names stand below tiles: whole, in lines of letters that are smaller where a word is long."""

    width: int = _USUAL_WIDTH  # characters of a line
    lines: int = 0  # of the longest name, 0 where there are none

    @classmethod
    def of(cls, names: Iterable[str]) -> Names:
        """Return how some names, each of one line or more, stand below tiles."""
        several = list(names)
        longest = max((len(word) for name in several for word in name.split()), default=0)
        found = cls(min(max(longest, _USUAL_WIDTH), _MOST_WIDTH))
        return cls(found.width, lines_of(map(found.wrapped, several)))

    @property
    def size(self) -> float:
        """The size of letters, in points."""
        return _USUAL_SIZE * _USUAL_WIDTH / self.width

    @property
    def room(self) -> float:
        """The height that names take below a tile, of side 1."""
        return _NAME_ROOM + _LINE_ROOM * self.lines * _USUAL_WIDTH / self.width if self.lines else 0

    def wrapped(self, name: str) -> str:
        """Return the lines of a name, each in as many as it takes."""
        return "\n".join(as_text(line, self.width) for line in name.split("\n"))


_WITHOUT = Names()


def canvas(rows: int, columns: int, names: Names = _WITHOUT) -> tuple[Figure, Axes]:
    """Return one pair of axes for all tiles, which are drawn much faster so than in axes of their own."""
    width, height = columns * _PITCH + 0.2, rows * (_PITCH + names.room) + 0.5
    figure = new_figure(4.8, 4.8 * height / width + 0.3 * (names.lines > 0))
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_xlim(-0.1, width - 0.1)
    axes.set_ylim(height - 0.5, -0.5)
    return figure, axes


def draw_tile(
    axes: Axes,
    image: Images,
    row: int,
    column: int,
    name: str = "",
    frame: dict[str, Any] | None = None,
    names: Names = _WITHOUT,
) -> None:
    """Draw one image, the first column a little apart from the others."""
    x, y = column * _PITCH + 0.2 * (column > 0), row * (_PITCH + names.room)
    left, top, width, height = place(axes, image, x, y)
    if frame:
        axes.add_patch(Rectangle((left, top), width, height, fill=False, linewidth=1.6, clip_on=False, **frame))
    if name:
        name_below(axes, name, x, y, names)


def place(axes: Axes, image: Images, x: float, y: float) -> tuple[float, float, float, float]:
    """Draw one image in the middle of a square of side 1; return its left, top, width and height."""
    limits = axes.get_xlim(), axes.get_ylim()
    height, width = (side / max(image.shape[:2]) for side in image.shape[:2])
    left, top = x + (1 - width) / 2, y + (1 - height) / 2
    axes.imshow(image, extent=(left, left + width, top + height, top), interpolation="nearest")
    axes.set(xlim=limits[0], ylim=limits[1])
    return left, top, width, height


def name_below(axes: Axes, name: str, x: float, y: float, names: Names) -> None:
    """Write the lines of a name below an image."""
    axes.text(x + 0.5, y + 1.05, names.wrapped(name), ha="center", va="top", fontsize=names.size)


def head(axes: Axes, first: str, others: str) -> None:
    """Write above the first column and above the others what they are."""
    axes.text(0.5, -0.14, first, ha="center", va="bottom", fontsize=8)
    axes.text(_PITCH + 0.2, -0.14, others, ha="left", va="bottom", fontsize=8)


def add_legend(figure: Figure, channels: Mapping[str, tuple[int, int, int]], *frames: Patch) -> None:
    """Write below all tiles what frames mean, and in which color, of red, green and blue from 0 to 1, channels are."""
    edge: dict[str, Any] = {"edgecolor": "black", "linewidth": 0.5}  # white would not show
    patches = [*frames, *(Patch(facecolor=color, label=as_text(name), **edge) for name, color in channels.items())]
    if patches:
        columns = min(len(patches), _MOST_BESIDE)
        figure.legend(handles=patches, loc="outside lower center", ncols=columns, frameon=False, fontsize=8)
