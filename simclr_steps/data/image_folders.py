"""A data set of image files in a folder, or listed in a CSV file, which are decoded as they are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from itertools import islice
from pathlib import Path

import numpy as np

from simclr_steps.data.alike import check_alike, first_readable, shown
from simclr_steps.data.decoding import Decoded, File
from simclr_steps.data.decoding_processes import decode_all
from simclr_steps.data.folder_listing import list_folder
from simclr_steps.data.image_index import ImageFile
from simclr_steps.data.image_tables import OF_CHANNEL
from simclr_steps.data.packed_writer import ImageSource, chunk_length
from simclr_steps.data.scaling import Values, too_large
from simclr_steps.data.splits import Rows
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.settings.datasets import FolderDataset, count_and_names
from simclr_steps.settings.image_format import Reading
from simclr_steps.settings.sizes import as_size

_NOTHING = 0.0005  # share of the pixels that is not worth a line


def read_folder(dataset: FolderDataset, workers: int) -> ImageSource:
    """Return the images of a folder or a CSV file; they are decoded as they are read.

    Raises
    ------
    UserError
        When there are none, a class has none, or the CSV file is wrong; and while it is read, when an image is
        unreadable and the data set does not say to skip such.
    """
    path, listing = Path(dataset.path), list_folder(dataset)
    base = path if path.is_dir() else path.parent
    of_channels = [column.removeprefix(OF_CHANNEL) for column in listing.files if column != "path"]
    channels, names = count_and_names(dataset.channels)
    height, width = as_size(dataset.image_size)
    reading = Reading(
        height=height,
        width=width,
        channels=channels,
        channel_names=of_channels or names,
        fit=dataset.fit,
        planes=dataset.planes,
        channel_axis=dataset.channel_axis,
    )

    def file_of(row: int) -> File:
        paths = tuple(base / column[row] for column in listing.files.values())
        return paths if of_channels else paths[0]

    first = first_readable((file_of(row) for row in range(len(listing.names))), reading)

    def read(rows: Rows) -> Iterator[tuple[Rows, Values]]:
        paths, off = [file_of(row) for row in rows], 0.0
        decoded = zip(rows, paths, decode_all(paths, reading, workers), strict=True)
        while part := list(islice(decoded, chunk_length(height, width, channels))):
            readable = []
            for row, path, image in part:
                if isinstance(image, Decoded):
                    image = too_large(image.values) or image
                if isinstance(image, str):
                    _report_unreadable(shown(path), image, skip=dataset.unreadable == "skip")
                else:
                    check_alike(path, image, first)
                    readable.append((row, image.values))
                    off += 1 - image.kept
            if readable:
                yield np.array([row for row, _ in readable]), np.stack([values for _, values in readable])
        if off > _NOTHING * len(rows):
            log.info(
                "%.1f %% of the pixels fall off at the images' edges: `fit: pad` keeps them", 100 * off / len(rows)
            )

    return ImageSource(
        **{one.name: getattr(listing, one.name) for one in fields(listing)},
        reading=reading,
        read=read,
        dtype=first[1].dtype if first else "uint8",
        value_range=dataset.value_range,
        bits=dataset.bits,
    )


def path_of(base: Path, file: ImageFile) -> File:
    """Return where an image is, or its channels, below the folder that its paths are relative to."""
    return tuple(base / name for name in file.of_channels) or base / file.name


def _report_unreadable(path: Path, reason: str, *, skip: bool) -> None:
    if not skip:
        raise UserError(f"{path} is unreadable ({reason}): fix or remove it, or set `unreadable: skip`")
    log.warning("skipped %s: %s", path, reason)
