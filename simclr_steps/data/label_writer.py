"""Write what is known of packed images: labels, groups and further columns, and what they make of the data set."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from simclr_steps.data.boxes import NOWHERE
from simclr_steps.data.csv_text import csv_text
from simclr_steps.data.growing_file import GrowingFile
from simclr_steps.data.image_tables import as_cell
from simclr_steps.data.labels import doubts
from simclr_steps.data.listing import Listing
from simclr_steps.data.packed import ROWS_OF_TRAIN, Description, PackedImages, SplitCounts, read_origins
from simclr_steps.data.repeated import count_repeated
from simclr_steps.data.splits import Rows, SplitNames, rows_of_split
from simclr_steps.files import canonical_json, scratch_folder, write_json
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.machine.places import require_claim
from simclr_steps.machine.provenance import Record
from simclr_steps.machine.replaced import check_files
from simclr_steps.settings.base import NO_LABEL, PACKED_SPLITS, SPLITS, array_of


def write_labels(
    listing: Listing,
    data: Path,
    packed: PackedImages,
    out: Path,
    *,
    split_seed: int,
    origin: dict[str, Any],
    record: Record,
) -> Description:
    """Write labels, rows and table.csv into `out` and, last of all, dataset.json, whose content is returned.

    `data` is the folder with the packed images; `origin` is what dataset.json says of where they came from. Labels that
    look wrong are logged.

    Raises
    ------
    UserError
        When the source no longer lists an image that was packed, when unreadable images leave a class without images to
        train on, when the disk is full, or when `out` has a file of the user of the name of one that is written.
    """
    check_files(out, ("dataset.json", "table.csv", *(f"{split}.labels.npy" for split in PACKED_SPLITS)), ROWS_OF_TRAIN)
    number = {key: row for row, key in enumerate(listing.keys)}
    origins = read_origins(data)
    rows = {split: _rows_of(found.keys, number, data) for split, found in origins.items()}
    skipped = {split: _rows_of(keys, number, data) for split, keys in packed.skipped.items()}
    _require_readable(listing, rows, skipped)
    splits = np.full(len(listing.names), "", dtype=f"<U{max(map(len, SPLITS))}")
    for of_split in (rows, skipped):
        for split, some in of_split.items():
            splits[some] = split
    for doubt in doubts(listing, splits):
        log.warning("labels: %s", doubt)
    labels = {split: listing.labels[some] for split, some in rows.items()}
    description = Description(
        classes=listing.classes,
        image_format=packed.image_format,
        splits={split: _counts(listing, rows, split) for split in SPLITS},
        skipped=[listing.names[row] for row in np.sort(np.concatenate(list(skipped.values())))],
        repeated=count_repeated({split: found.digests for split, found in origins.items()}, labels),
        pixel_hash=packed.pixel_hash,
        content_hash=_content_hash(listing, packed, rows),
        split_seed=split_seed,
        source=origin,
        run=record.finish(),
    )
    with scratch_folder(out / "labels") as place:
        for split, some in rows.items():
            array = io.BytesIO()
            np.save(array, labels[split], allow_pickle=False)
            _write(f"{split}.labels.npy", array, place, out)
            table = io.BytesIO()
            pq.write_table(_rows_table(listing, some), table)
            _write(f"{split}.rows.parquet", table, place, out)
        _write("table.csv", _table_to_edit(listing, splits), place, out)
        require_claim(out)
        (out / "dataset.json").unlink(missing_ok=True)
        for file in sorted(place.iterdir(), key=lambda file: file.name != ROWS_OF_TRAIN):  # it shows whose they are
            file.replace(out / file.name)
    write_json(out / "dataset.json", description.model_dump())
    return description


def _rows_of(keys: list[str], number: Mapping[str, int], data: Path) -> Rows:
    """Return the source's rows of some images."""
    if gone := [key for key in keys if key not in number]:
        raise UserError(f"{data} has the image {gone[0]}, which its source no longer lists: run prepare again")
    return np.array([number[key] for key in keys], dtype=np.int64)


def _require_readable(listing: Listing, rows: Mapping[str, Rows], skipped: Mapping[str, Rows]) -> None:
    """Raise UserError where unreadable images were all of a class in train; warn for other splits."""
    for split, some in skipped.items():
        labels = listing.labels[some]
        lost = np.setdiff1d(labels, [NO_LABEL, *np.unique(listing.labels[rows[split]])])
        if len(lost):
            name = listing.classes[lost[0]]
            more = f" (and of {len(lost) - 1} more classes)" if len(lost) > 1 else ""
            sentence = (
                f'none of the {split} images of class "{name}"{more} is readable: fix these files, which prepare '
                "listed, or remove them: the splits are then drawn from the others"
            )
            if split == "train":
                raise UserError(sentence)
            log.warning("warning: %s", sentence)


def _counts(listing: Listing, rows: Mapping[str, Rows], split: str) -> SplitCounts:
    """Return how many images are meant by the name of a split."""
    of_array = rows[array_of(split)]
    meant = of_array[rows_of_split(split, listing.labels[of_array])]
    labels = listing.labels[meant]
    per_class = np.bincount(labels[labels != NO_LABEL], minlength=len(listing.classes))
    groups = None if listing.groups is None else len(np.unique(listing.groups[meant]))
    return SplitCounts(images=len(meant), labeled=int(per_class.sum()), per_class=per_class.tolist(), groups=groups)


def _content_hash(listing: Listing, packed: PackedImages, rows: Mapping[str, Rows]) -> str:
    """Return a hash of all that results are made of: pixels, classes, labels and groups."""
    groups = {} if listing.groups is None else {split: listing.groups[some].tolist() for split, some in rows.items()}
    labels = {split: listing.labels[some].tolist() for split, some in rows.items()}
    content = canonical_json([packed.pixel_hash, listing.classes, labels, groups])
    return hashlib.sha256(content.encode(errors="surrogateescape")).hexdigest()


def _rows_table(listing: Listing, rows: Rows) -> pa.Table:
    """Return the table of a split's rows; what is unknown is null."""
    known = {"source": listing.names, **_known(listing)}
    columns = {
        name: pa.array([cells[row] or None for row in rows.tolist()], pa.string()) for name, cells in known.items()
    }
    return pa.table({"row": np.arange(len(rows)), **columns})


def _known(listing: Listing, **more: Sequence[str]) -> dict[str, Sequence[str]]:
    """Return what is known of each row as text, "" where it is unknown: label, more, group and further columns."""
    names = {NO_LABEL: "", **dict(enumerate(listing.classes))}
    groups: dict[str, Sequence[str]] = {} if listing.groups is None else {"group": listing.groups.tolist()}
    return {"label": [names[label] for label in listing.labels.tolist()], **more, **groups, **listing.columns}


def _table_to_edit(listing: Listing, splits: SplitNames) -> io.BytesIO:
    """Return a CSV file of all images that have a split; where they are files, it can take the place of the source.

    An image that could not be read, and so not be cut into tiles, has no box, and a table of boxes has no line for it.
    """
    places = {column: listing.paths(column) for column in listing.files} or {"source": list(listing.names)}
    known = _known(listing, split=splits.tolist())
    columns = {**places, **{name: [as_cell(value) for value in values] for name, values in known.items()}}
    shown = (splits != "") & np.array([box != NOWHERE for box in listing.boxes or listing.names])
    return io.BytesIO(csv_text(columns, np.flatnonzero(shown).tolist()).encode())


def _write(name: str, content: io.BytesIO, place: Path, out: Path) -> None:
    with closing(GrowingFile(place, name, out)) as file:
        file.write(content.getbuffer())
        file.sync()
