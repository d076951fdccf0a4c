"""A data set of image files in a folder, or listed in a CSV file, which are decoded as they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from simclr_steps.data.alike import check_alike, first_readable, shown
from simclr_steps.data.boxes import box_columns
from simclr_steps.data.decoding import Decoded, decode
from simclr_steps.data.decoding_processes import decode_all
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
from simclr_steps.data.measured_files import tell_order_of_channels
from simclr_steps.data.packed import NO_LABEL
from simclr_steps.data.packed_writer import ImageSource, chunk_length
from simclr_steps.data.parts_of_images import COLUMNS as OF_PART
from simclr_steps.data.parts_of_images import columns_of, cut
from simclr_steps.data.pieces import Cutting, decode_piece, decode_pieces
from simclr_steps.data.readable import File
from simclr_steps.data.scaling import Values, too_large
from simclr_steps.data.skipped import report_skipped
from simclr_steps.data.splits import Rows
from simclr_steps.data.tiles import NOWHERE, Keep
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.settings.datasets import FolderDataset, count_and_names
from simclr_steps.settings.image_format import Reading

_NOTHING = 0.0005  # share of the pixels that is not worth a line


def read_folder(dataset: FolderDataset, workers: int) -> ImageSource:
    """Return the images of a folder or a CSV file; they are decoded as they are read.

    Raises
    ------
    UserError
        When there are none, a class has none, or the CSV file is wrong; and while it is read, when an image is
        unreadable and the data set does not say to skip such.
    """
    path = Path(dataset.path)
    channels, names = count_and_names(dataset.channels)
    further: list[str] = []
    if path.is_dir():
        base, files = path, index_folder(path)
    elif path.is_file():
        names = channel_columns(path, channels, names) or names
        boxes = box_columns(list(next(read_lines(path))[1]), path)
        columns = [*COLUMNS, *(f"{OF_CHANNEL}{name}" for name in names or []), *boxes]
        further = further_columns(path, [*columns, *(OF_PART if boxes or dataset.tiles else ())])
        base, files = path.parent, index_table(path, columns, further)
    else:
        raise UserError(f"path: {path} does not exist: give a folder of images or a CSV file")
    height, width = dataset.packed_size
    reading = Reading(
        height=height,
        width=width,
        channels=channels,
        channel_names=names,
        fit=dataset.fit,
        planes=dataset.planes,
        channel_axis=dataset.channel_axis,
    )
    cutting = _cutting(dataset, files, reading)
    if cutting:
        paths = {file.parent: path_of(base, file) for file in files}
        files = cut(files, paths, dataset.tiles, cutting, workers, path)
    classes = sorted({file.label for file in files} - {""})
    number = {"": NO_LABEL} | {name: label for label, name in enumerate(classes)}
    log.info("found %d images of %d classes in %s", len(files), len(classes), path)
    first = first_readable(((path_of(base, file), _decoded(base, file, reading, cutting)) for file in files), channels)
    tell_order_of_channels(path_of(base, files[0]), reading)

    def read(rows: Rows) -> Iterator[tuple[Rows, Values]]:
        off, skipped = 0.0, 0
        said: tuple[File, str] | None = None
        wanted = ((path_of(base, files[row]), files[row].box) for row in rows)
        if cutting:
            images = decode_pieces(((path, box or NOWHERE) for path, box in wanted), cutting, workers)
        else:
            images = decode_all((path for path, _ in wanted), reading, workers)
        decoded = zip(rows, images, strict=True)
        while part := list(islice(decoded, chunk_length(height, width, channels))):
            readable = []
            for row, image in part:
                path = path_of(base, files[row])
                if isinstance(image, Decoded):
                    image = too_large(image.values) or image
                if isinstance(image, str):
                    if dataset.unreadable != "skip":
                        raise UserError(
                            f"{shown(path)} is unreadable ({image}): fix or remove it, or set `unreadable: skip`"
                        )
                    if (path, image) != said:  # once for all parts of an image
                        report_skipped(path, image, before=skipped)
                        skipped += 1
                    said = path, image
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
        classes=classes,
        reading=reading,
        splits=np.array([file.split for file in files]),
        labels=np.array([number[file.label] for file in files], dtype=np.int64),
        names=[file.title for file in files],
        read=read,
        groups=_groups(files, dataset),
        columns={
            **{name: [file.further[number] for file in files] for number, name in enumerate(further)},
            **(columns_of(files) if cutting else {}),
        },
        dtype=first[1].dtype if first else "uint8",
        value_range=dataset.value_range,
        bits=dataset.bits,
        keep=_keep(dataset),
    )


def path_of(base: Path, file: ImageFile) -> File:
    """Return where an image is, or its channels, below the folder that its paths are relative to."""
    return tuple(base / name for name in file.of_channels) or base / file.name


def _cutting(dataset: FolderDataset, files: Sequence[ImageFile], reading: Reading) -> Cutting | None:
    """Return how parts of images are read, or None where the images are whole."""
    if tiles := dataset.tiles:
        return Cutting(reading, tiles.level, None if tiles.nodata is None else float(tiles.nodata))
    return Cutting(reading) if files[0].box else None


def _keep(dataset: FolderDataset) -> Keep | None:
    """Return what drops tiles with nothing on them, if they can be there."""
    tiles = dataset.tiles
    if tiles is None or (tiles.keep is None and tiles.nodata is None):
        return None
    return Keep(tiles.keep.min_std if tiles.keep else 0.0)


def _decoded(base: Path, file: ImageFile, reading: Reading, cutting: Cutting | None) -> Decoded | str:
    path = path_of(base, file)
    return decode_piece(path, file.box or NOWHERE, cutting) if cutting else decode(path, reading)


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
