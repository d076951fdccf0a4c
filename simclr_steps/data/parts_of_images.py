"""Images that are parts of others: tiles that the settings ask for, or boxes that a CSV file lists."""

from __future__ import annotations

from collections.abc import Sequence

from simclr_steps.data.boxes import NOWHERE, Box
from simclr_steps.data.image_index import ImageFile

COLUMNS = ("parent", "x", "y", "width", "height")  # of the rows


def in_order_of_files(parts: Sequence[ImageFile]) -> list[ImageFile]:
    """Return parts of images so that those of one file, which stays open in between, follow each other."""
    order: dict[str, int] = {}
    for part in parts:
        order.setdefault(part.parent, len(order))
    return sorted(parts, key=lambda part: order[part.parent])


def columns_of(parts: Sequence[ImageFile]) -> dict[str, list[str]]:
    """Return what is known of where each part lies, [N] by column, "" for what cannot be read."""
    places = [(part.parent, *_cells(part.box)) for part in parts]
    return {name: list(cells) for name, cells in zip(COLUMNS, zip(*places, strict=True), strict=True)}


def _cells(box: Box | None) -> tuple[str, str, str, str]:
    if box is None or box == NOWHERE:
        return "", "", "", ""
    return str(box.x), str(box.y), str(box.width), str(box.height)
