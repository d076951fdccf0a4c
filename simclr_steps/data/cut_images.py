"""Images of a folder or a CSV file cut into tiles or boxes, for which the sizes of their files are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from simclr_steps.data.boxes import NOWHERE, Box, part_named
from simclr_steps.data.folder_listing import find, listing_of, path_of
from simclr_steps.data.image_index import ImageFile
from simclr_steps.data.listing import Listing
from simclr_steps.data.packed import read_origins, read_packed
from simclr_steps.data.pieces import Cutting, cutting_of, reading_of, sizes_of
from simclr_steps.data.tiles import Sizes, cut_up
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.base import array_of
from simclr_steps.settings.datasets import FolderDataset


def list_cut(dataset: FolderDataset, workers: int) -> Listing:
    """Return the images of a folder or a CSV file, with tiles cut and boxes checked; `workers` processes read sizes.

    Raises
    ------
    UserError
        When there are none, a class has none, the CSV file is wrong, boxes and tiles are given, or one of them is
        wrong.
    """
    found = find(dataset)
    has_boxes = found.files[0].box is not None
    if not (has_boxes or dataset.tiles):
        return listing_of(found, dataset)
    if has_boxes and dataset.tiles:
        raise UserError(
            f"tiles: {dataset.path} has the columns x, y, width and height, which are boxes: omit one of the two"
        )
    sizes = read_sizes(found.base, found.files, cutting_of(dataset, reading_of(dataset, found.channel_names)), workers)
    if dataset.tiles:
        cut = replace(found, files=cut_up(found.files, sizes, dataset.tiles))
        return replace(listing_of(cut, dataset), uncut=listing_of(found, dataset))
    check_boxes(Path(dataset.path), found.files, sizes)
    return listing_of(found, dataset)


def list_as_packed(dataset: FolderDataset, data: Path) -> Listing:
    """Return the tiles that prepare wrote into `data` or skipped, as the source tells of their images now.

    No image is opened for that.

    Raises
    ------
    UserError
        When there are no images, a class has none, the CSV file is wrong, or prepare did not finish.
    """
    found = find(dataset)
    uncut = listing_of(found, dataset)
    boxes: dict[str, list[Box]] = {key: [] for key in uncut.keys}
    packed = [origins.keys for origins in read_origins(data).values()]
    for key in chain(*packed, *read_packed(data).skipped.values()):
        image, box = (key, NOWHERE) if key in boxes else part_named(key)
        boxes.setdefault(image, []).append(box)
    files = [replace(file, box=box) for file, key in zip(found.files, uncut.keys, strict=True) for box in boxes[key]]
    return replace(listing_of(replace(found, files=files), dataset), uncut=uncut) if files else uncut


def read_sizes(base: Path, files: Sequence[ImageFile], cutting: Cutting, workers: int) -> Sizes:
    """Return the sizes of files below a folder by their paths as they are listed; `workers` processes read them."""
    paths = {file.parent: path_of(base, file) for file in files}
    return dict(zip(paths, sizes_of(list(paths.values()), cutting, workers), strict=True))


def check_boxes(table: Path, files: Sequence[ImageFile], sizes: Sizes) -> None:
    """Check that boxes lie in their images and that all of one image are in one group and on one side of a split.

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
        arrays = array_of(file.split), array_of(first.split)
        for what, own, other in (("group", file.group, first.group), ("split", *arrays)):
            if own != other:
                raise UserError(
                    f"{where} puts a part of {file.name} into the {what} {own}, but line {first.line} another into "
                    f"{other}: put all parts of one image into one {what}"
                )
