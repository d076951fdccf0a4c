"""Images that are parts of others: tiles that the settings ask for, or boxes that a CSV file lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from simclr_steps.data.boxes import Box
from simclr_steps.data.image_index import ImageFile
from simclr_steps.data.pieces import Cutting, sizes_of
from simclr_steps.data.readable import File
from simclr_steps.data.tiles import NOWHERE, cut_up
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.sizes import Size
from simclr_steps.settings.tiles import Tiles

COLUMNS = ("parent", "x", "y", "width", "height")  # of the rows


def cut(
    files: Sequence[ImageFile],
    paths: Mapping[str, File],
    tiles: Tiles | None,
    cutting: Cutting,
    workers: int,
    table: Path,
) -> list[ImageFile]:
    """Return the parts of images, those of one image after each other.

    Parameters
    ----------
    files
        The images, or boxes in them, that `table` lists.
    paths
        The file of each image, by its path as it is listed.

    Raises
    ------
    UserError
        When boxes and tiles are given, or one of them is wrong.
    """
    if tiles and files[0].box:
        raise UserError(f"tiles: {table} has the columns x, y, width and height, which are boxes: omit one of the two")
    sizes = dict(zip(paths, sizes_of(list(paths.values()), cutting, workers), strict=True))
    if tiles:
        return cut_up(files, sizes, tiles)
    _check_boxes(table, files, sizes)
    return list(files)


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


def _check_boxes(table: Path, files: Sequence[ImageFile], sizes: Mapping[str, Size | str]) -> None:
    """Check that boxes lie in their images and that all of one image are in one group and on one side of a split.

    Parameters
    ----------
    sizes
        Height and width of each image by its path, or why it cannot be read.

    Raises
    ------
    UserError
        Naming the line.
    """
    known = {parent: size for parent, size in sizes.items() if not isinstance(size, str)}
    outside = [file for file in files if file.box and file.parent in known and not file.box.is_in(known[file.parent])]
    if outside:
        file = outside[0]
        height, width = known[file.parent]
        more = f" (and {len(outside) - 1} more lines)" if len(outside) > 1 else ""
        raise UserError(
            f"path: {table} line {file.line}{more} has the box {file.box}, which is not all inside {file.name} of "
            f"{width:,} × {height:,} pixels: correct it or delete the line"
        )
    firsts: dict[str, ImageFile] = {}
    for file in files:
        where = f"path: {table} line {file.line}"
        first = firsts.setdefault(file.parent, file)
        for what, own, other in (("group", file.group, first.group), ("split", _side(file), _side(first))):
            if own != other:
                raise UserError(
                    f"{where} puts a part of {file.name} into the {what} {own}, but line {first.line} another into "
                    f"{other}: put all parts of one image into one {what}"
                )


def _side(file: ImageFile) -> str:
    return "train" if file.split == "unlabeled" else file.split
