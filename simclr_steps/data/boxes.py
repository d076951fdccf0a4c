"""Boxes in a CSV file: each line is a part of an image, such as a single cell."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simclr_steps.machine.errors import UserError
from simclr_steps.settings.sizes import Size

if TYPE_CHECKING:  # Snakemake plans without NumPy
    import numpy.typing as npt

BOX_COLUMNS = ("x", "y", "width", "height")


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

    def of(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return this part of an image [H, W, …]."""
        return values[self.y : self.y + self.height, self.x : self.x + self.width]


NOWHERE = Box(0, 0, 0, 0)  # stands for all parts of an image that cannot be read
_NAMED = re.compile(r"(.*)#x=(\d+),y=(\d+),w=(\d+),h=(\d+)", re.DOTALL)


def part_named(name: str) -> tuple[str, Box]:
    """Return the image and the box that the name of a part says, NOWHERE where it names no box."""
    found = _NAMED.fullmatch(name)
    return (found[1], Box(*map(int, found.groups()[1:]))) if found else (name, NOWHERE)


def box_columns(columns: Sequence[str], table: object) -> tuple[str, ...]:
    """Return the columns of a CSV file that hold boxes: all four or none, as two may mean something else.

    Raises
    ------
    UserError
        When one of them is missing.
    """
    found = [column for column in BOX_COLUMNS if column in columns]
    if len(found) < len(BOX_COLUMNS) - 1:
        return ()
    if absent := [column for column in BOX_COLUMNS if column not in found]:
        raise UserError(
            f"path: {table} line 1 has the columns {', '.join(found)} without {absent[0]}: boxes need all four, so add "
            "it, or rename the others"
        )
    return BOX_COLUMNS


def box_in(cells: Mapping[str, str], where: str) -> Box | None:
    """Return the box of a line, None where the file has none; `where` names the line.

    Raises
    ------
    UserError
        When a cell is no whole number of pixels, or the box is empty.
    """
    if not all(column in cells for column in BOX_COLUMNS):
        return None
    numbers = []
    for column in BOX_COLUMNS:
        try:
            number = float(cells[column])  # as a table may have become one of floats: "12.0"
            whole = int(number)
        except (ValueError, OverflowError):
            whole, number = 0, 0.5
        if whole != number:
            raise UserError(f'{where} has "{cells[column]}" for {column}: write a whole number of pixels')
        numbers.append(whole)
    box = Box(*numbers)
    if min(box.width, box.height) < 1:
        raise UserError(f"{where} has a box of {box.width} × {box.height} pixels: correct it or delete the line")
    return box
