"""What a folder or a CSV file tells of its images: classes, splits, groups and further columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from simclr_steps.data.groups import Groups, groups_in
from simclr_steps.data.image_index import (
    COLUMNS,
    ImageFile,
    channel_columns,
    further_columns,
    index_folder,
    index_table,
)
from simclr_steps.data.image_tables import OF_CHANNEL
from simclr_steps.data.listing import Listing
from simclr_steps.data.packed import NO_LABEL
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.settings.datasets import FolderDataset, count_and_names


def list_folder(dataset: FolderDataset) -> Listing:
    """Return the images of a folder or a CSV file, none of which is read.

    Raises
    ------
    UserError
        When there are none, a class has none, or the CSV file is wrong.
    """
    path = Path(dataset.path)
    of_channels: list[str] = []
    further: list[str] = []
    if path.is_dir():
        base, files = path, index_folder(path)
    elif path.is_file():
        channels, names = count_and_names(dataset.channels)
        of_channels = [f"{OF_CHANNEL}{name}" for name in channel_columns(path, channels, names) or []]
        columns = [*COLUMNS, *(of_channels or (f"{OF_CHANNEL}{name}" for name in names or []))]
        further = further_columns(path, columns)
        base, files = path.parent, index_table(path, columns, further)
    else:
        raise UserError(f"path: {path} does not exist: give a folder of images or a CSV file")
    classes = sorted({file.label for file in files} - {""})
    number = {"": NO_LABEL} | {name: label for label, name in enumerate(classes)}
    log.info("found %d images of %d classes in %s", len(files), len(classes), path)
    names_of_files = [file.name for file in files]
    return Listing(
        classes=classes,
        splits=np.array([file.split for file in files]),
        labels=np.array([number[file.label] for file in files], dtype=np.int64),
        names=names_of_files,
        groups=_groups(files, dataset),
        columns={name: [file.further[number] for file in files] for number, name in enumerate(further)},
        base=str(base.absolute()),
        files={column: [file.of_channels[number] for file in files] for number, column in enumerate(of_channels)}
        or {"path": names_of_files},
    )


def _groups(files: Sequence[ImageFile], dataset: FolderDataset) -> Groups | None:
    """Return the name of each image's group, if they have any."""
    given = bool(files[0].group)
    if dataset.group_pattern is None:
        return np.array([file.group for file in files]) if given else None
    if given:
        raise UserError(f"group_pattern: {dataset.path} also has a group column: omit one of the two")
    return groups_in([file.name for file in files], dataset.group_pattern)
