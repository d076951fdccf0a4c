"""What a folder or a CSV file tells of its images: classes, splits, groups and further columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

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
from simclr_steps.data.packed import NO_LABEL
from simclr_steps.data.parts_of_images import COLUMNS as OF_PART
from simclr_steps.data.parts_of_images import columns_of, cut, in_order_of_files
from simclr_steps.data.pieces import cutting_of, reading_of
from simclr_steps.data.readable import File
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.settings.datasets import FolderDataset, count_and_names


def list_folder(dataset: FolderDataset, workers: int | None = None) -> Listing:
    """Return the images of a folder or a CSV file, of which no pixel is used.

    Where they are parts of others, `workers` processes look how large those are, and tiles are cut. None looks at no
    file: it takes boxes as they are and lists what is to be cut uncut.

    Raises
    ------
    UserError
        When there are none, a class has none, or the CSV file is wrong.
    """
    path = Path(dataset.path)
    channels, names = count_and_names(dataset.channels)
    of_channels: list[str] = []
    further: list[str] = []
    if path.is_dir():
        base, files = path, index_folder(path)
    elif path.is_file():
        of_channels = [f"{OF_CHANNEL}{name}" for name in channel_columns(path, channels, names) or []]
        boxes = box_columns(list(next(read_lines(path))[1]), path)
        columns = [*COLUMNS, *(of_channels or (f"{OF_CHANNEL}{name}" for name in names or [])), *boxes]
        further = further_columns(path, [*columns, *(OF_PART if boxes or dataset.tiles else ())])
        base, files = path.parent, index_table(path, columns, further)
    else:
        raise UserError(f"path: {path} does not exist: give a folder of images or a CSV file")
    if files[0].box:
        files = in_order_of_files(files)
    if workers is not None and (files[0].box or dataset.tiles):
        paths = {file.parent: path_of(base, file) for file in files}
        named = [column.removeprefix(OF_CHANNEL) for column in of_channels] or names
        files = cut(files, paths, dataset.tiles, cutting_of(dataset, reading_of(dataset, named)), workers, path)
    are_parts = files[0].box is not None
    classes = sorted({file.label for file in files} - {""})
    number = {"": NO_LABEL} | {name: label for label, name in enumerate(classes)}
    log.info("found %d images of %d classes in %s", len(files), len(classes), path)
    paths_of_files = [file.name for file in files]
    return Listing(
        classes=classes,
        splits=np.array([file.split for file in files]),
        labels=np.array([number[file.label] for file in files], dtype=np.int64),
        names=[file.title for file in files] if are_parts else paths_of_files,
        groups=_groups(files, dataset),
        columns={
            **{name: [file.further[number] for file in files] for number, name in enumerate(further)},
            **(columns_of(files) if are_parts else {}),
        },
        base=str(base.absolute()),
        files={column: [file.of_channels[number] for file in files] for number, column in enumerate(of_channels)}
        or {"path": paths_of_files},
        boxes=[file.box for file in files] if are_parts else None,
    )


def path_of(base: Path, file: ImageFile) -> File:
    """Return where an image is, or its channels, below the folder that its paths are relative to."""
    return tuple(base / name for name in file.of_channels) or base / file.name


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
