"""A data set of image files in a folder, or listed in a CSV file, which are decoded as they are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from itertools import islice
from pathlib import Path

import numpy as np

from simclr_steps.data.alike import check_alike, first_readable
from simclr_steps.data.boxes import NOWHERE
from simclr_steps.data.conversions import Conversions
from simclr_steps.data.cut_images import list_cut
from simclr_steps.data.decoding import Decoded, decode
from simclr_steps.data.decoding_processes import decode_all
from simclr_steps.data.image_tables import OF_CHANNEL
from simclr_steps.data.listing import Listing
from simclr_steps.data.measured_files import tell_order_of_channels
from simclr_steps.data.packed_writer import ImageSource, chunk_length
from simclr_steps.data.pieces import Cutting, Piece, cutting_of, decode_piece, decode_pieces, reading_of
from simclr_steps.data.readable import File, shown
from simclr_steps.data.scaling import Values, too_large
from simclr_steps.data.skipped import report_skipped
from simclr_steps.data.splits import Rows
from simclr_steps.data.tiles import Keep
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
    listing = list_cut(dataset, workers)
    of_channels = [column.removeprefix(OF_CHANNEL) for column in listing.files if column != "path"]
    reading = reading_of(dataset, of_channels or count_and_names(dataset.channels)[1])
    cutting = None if listing.boxes is None else cutting_of(dataset, reading)
    pieces = _Pieces(Path(dataset.path), listing)
    first = first_readable(
        ((piece[0], _decoded(piece, reading, cutting)) for piece in map(pieces.of, range(len(listing.names)))),
        reading.channels,
    )
    tell_order_of_channels(pieces.of(0)[0], reading)

    def read(rows: Rows) -> Iterator[tuple[Rows, Values]]:
        off, skipped, conversions = 0.0, 0, Conversions()
        said: tuple[File, str] | None = None
        wanted = map(pieces.of, rows.tolist())
        if cutting:
            images = decode_pieces(wanted, cutting, workers)
        else:
            images = decode_all((file for file, _ in wanted), reading, workers)
        decoded = zip(rows, images, strict=True)
        while part := list(islice(decoded, chunk_length(*reading.size, reading.channels))):
            readable = []
            for row, image in part:
                path, _ = pieces.of(row)
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
                    conversions.add(path, image.conversions)
            if readable:
                yield np.array([row for row, _ in readable]), np.stack([values for _, values in readable])
        conversions.report()
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
        keep=_keep(dataset),
    )


class _Pieces:
    """Where each image of a listing is: its file, or one for each channel, and its part there."""

    def __init__(self, path: Path, listing: Listing) -> None:
        self._base = path if path.is_dir() else path.parent
        self._columns, self._boxes = list(listing.files.values()), listing.boxes
        self._of_channels = "path" not in listing.files

    def of(self, row: int) -> Piece:
        """Return the file of a row and the box in it, which means nothing for a whole image."""
        paths = tuple(self._base / column[row] for column in self._columns)
        box = self._boxes[row] if self._boxes else None
        return paths if self._of_channels else paths[0], box or NOWHERE


def _decoded(piece: Piece, reading: Reading, cutting: Cutting | None) -> Decoded | str:
    return decode_piece(*piece, cutting) if cutting else decode(piece[0], reading)


def _keep(dataset: FolderDataset) -> Keep | None:
    """Return what drops tiles with nothing on them, if they can be there."""
    tiles = dataset.tiles
    if tiles is None or (tiles.keep is None and tiles.nodata is None):
        return None
    return Keep(tiles.keep.min_std if tiles.keep else 0.0)
