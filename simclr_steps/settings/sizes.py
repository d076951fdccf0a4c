"""Heights and widths of images, and how a config gives them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

Size = tuple[int, int]  # height and width in pixels

_SMALLEST_SIDE, _LARGEST_SIDE = 4, 65_535


def as_size(side_or_size: Any) -> Any:
    """Return height and width: a whole number is the side of a square, and anything else stays what it is."""
    return (side_or_size, side_or_size) if isinstance(side_or_size, int) else side_or_size


def _check_view_size(value: Any) -> Any:
    """Take lists, as YAML has no tuples, and write a square as its side, so that equal settings are equal."""
    size = tuple(value) if isinstance(value, list | tuple) else (value, value)
    if len(size) != 2 or not all(type(side) is int and _SMALLEST_SIDE <= side <= _LARGEST_SIDE for side in size):
        raise ValueError(
            f"must be a whole number or two, [height, width], each from {_SMALLEST_SIDE} to {_LARGEST_SIDE:,}"
        )
    return size[0] if size[0] == size[1] else size


_Side = Annotated[int, Field(ge=_SMALLEST_SIDE, le=_LARGEST_SIDE)]
ViewSize = Annotated[_Side | tuple[_Side, _Side], BeforeValidator(_check_view_size)]
