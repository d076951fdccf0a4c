"""What a folder or a CSV file tells of its images: classes, splits, groups and further columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from simclr_steps.data.boxes import box_columns
from simclr_steps.data.groups import Groups, groups_in
from simclr_steps.data.image_index import (
    COLUMNS,
    ImageFile,
    channel_columns,
    further_columns,
    index_folder,
    index_table,
)
from simclr_steps.data.image_tables import OF_CHANNEL, read_lines
from simclr_steps.data.listing import Listing
from simclr_steps.data.parts_of_images import COLUMNS as OF_PART
from simclr_steps.data.parts_of_images import columns_of, in_order_of_files
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.settings.base import NO_LABEL
from simclr_steps.settings.datasets import FolderDataset, count_and_names

if TYPE_CHECKING:  # Snakemake plans without what decodes images
    from simclr_steps.data.readable import File


@dataclass(frozen=True)
class Found:
    """The images that a folder has or a CSV file lists, below the folder `base`.

    `channel_names` are those of the settings, or of the columns that hold a file of each channel if `of_channels`;
    `further` are the columns that go with the images.
    """

    base: Path
    files: Sequence[ImageFile]
    channel_names: list[str] | None
    of_channels: bool = False
    further: Sequence[str] = ()


def list_folder(dataset: FolderDataset) -> Listing:
    """Return the images of a folder or a CSV file, of which none is opened.

    Boxes are taken as they are, and what is to be cut into tiles is listed uncut; see simclr_steps.data.cut_images.

    Raises
    ------
    UserError
        When there are none, a class has none, or the CSV file is wrong.
    """
    return listing_of(find(dataset), dataset)


def find(dataset: FolderDataset) -> Found:
    """Return the images of a folder or a CSV file as `list_folder` lists them."""
    path = Path(dataset.path)
    channels, names = count_and_names(dataset.channels)
    if path.is_dir():
        found = Found(path, index_folder(path), names)
    elif path.is_file():
        of_channels = channel_columns(path, channels, names)
        boxes = box_columns(list(next(read_lines(path))[1]), path)
        columns = [*COLUMNS, *(f"{OF_CHANNEL}{name}" for name in of_channels or names or []), *boxes]
        further = further_columns(path, [*columns, *(OF_PART if boxes or dataset.tiles else ())])
        files = index_table(path, columns, further)
        found = Found(
            path.parent,
            in_order_of_files(files) if files[0].box else files,
            of_channels or names,
            of_channels is not None,
            further,
        )
    else:
        raise UserError(f"path: {path} does not exist: give a folder of images or a CSV file")
    log.info("found %d images of %d classes in %s", len(found.files), len(_classes(found.files)), path)
    return found


def listing_of(found: Found, dataset: FolderDataset) -> Listing:
    """Return what is known of images that were found, or of the parts that they were cut into."""
    files = found.files
    are_parts = files[0].box is not None
    classes = _classes(files)
    number = {"": NO_LABEL} | {name: label for label, name in enumerate(classes)}
    paths = [file.name for file in files]
    columns = {name: [file.further[place] for file in files] for place, name in enumerate(found.further)}
    names = found.channel_names if found.of_channels else None
    return Listing(
        classes=classes,
        splits=np.array([file.split for file in files]),
        labels=np.array([number[file.label] for file in files], dtype=np.int64),
        names=[file.title for file in files] if are_parts else paths,
        groups=_groups(files, dataset),
        columns={**columns, **(columns_of(files) if are_parts else {})},
        base=str(found.base.absolute()),
        files={f"{OF_CHANNEL}{name}": [file.of_channels[place] for file in files] for place, name in enumerate(names)}
        if names
        else {"path": paths},
        boxes=[file.box for file in files] if are_parts else None,
    )


def path_of(base: Path, file: ImageFile) -> File:
    """Return where an image is, or its channels, below the folder that its paths are relative to."""
    return tuple(base / name for name in file.of_channels) or base / file.name


def _classes(files: Sequence[ImageFile]) -> list[str]:
    return sorted({file.label for file in files} - {""})


def _groups(files: Sequence[ImageFile], dataset: FolderDataset) -> Groups | None:
    """Return the name of each image's group, if they have any."""
    given = bool(files[0].group)
    if dataset.group_pattern is None:
        if not given and files[0].box:
            return np.array([file.parent for file in files])
        return np.array([file.group for file in files]) if given else None
    if given:
        raise UserError(f"group_pattern: {dataset.path} also has a group column: omit one of the two")
    return groups_in([file.name for file in files], dataset.group_pattern)
