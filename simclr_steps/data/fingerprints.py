"""Fingerprints of the user's own data: one of what is packed, one of what is known of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np

from simclr_steps.data.array_listing import list_arrays
from simclr_steps.data.file_states import Fingerprints, OwnDataset, state_of
from simclr_steps.data.folder_listing import list_folder
from simclr_steps.data.listing import Listing, places
from simclr_steps.data.parts_of_images import COLUMNS as OF_PARTS
from simclr_steps.data.splits import SplitNames, assigned_splits
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.settings.datasets import ArraysDataset, FolderDataset

_DIGITS = 16


def fingerprints(dataset: OwnDataset) -> Fingerprints:
    """Return what changes when the packed images of a data set would, or what is known of them; no image is read.

    Raises nothing and says nothing, as the step that lists the source again does.
    """
    with _silence():
        try:
            listing = list_own(dataset)
            return Fingerprints(of_pixels(dataset, listing), of_labels(listing))
        except (UserError, OSError):
            return Fingerprints("", "")


def list_own(dataset: OwnDataset) -> Listing:
    """Return what the user's own data list."""
    return list_arrays(dataset) if isinstance(dataset, ArraysDataset) else list_folder(dataset)


def of_pixels(dataset: OwnDataset, listing: Listing) -> str:
    """Return the fingerprint of what is packed: the images in their order, each with its assigned split.

    What counts of a file is its place, its size and the time of its change, and of arrays the files with images. The
    splits may come from labels, a column or a seed: only where an image goes counts. Where splits of images that are to
    be cut are drawn, from tiles that are not counted yet, what they are drawn by counts: each label and group.
    """
    listing = listing.uncut or listing
    if isinstance(dataset, FolderDataset) and dataset.tiles and _draws_splits(dataset, listing):
        groups = [] if listing.groups is None else listing.groups.tolist()
        digest = hashlib.sha256(listing.labels.tobytes())
        digest.update("\0".join([_of_files(dataset, listing, listing.splits), *groups]).encode())
        return digest.hexdigest()[:_DIGITS]
    with _silence():
        splits = assigned_splits(dataset, listing.splits, listing.labels, listing.groups)
    return _of_files(dataset, listing, splits)


def _draws_splits(dataset: OwnDataset, listing: Listing) -> bool:
    shares = {"test": dataset.test_fraction, "validation": dataset.validation_fraction}
    return dataset.subset is not None or any(share and split not in listing.splits for split, share in shares.items())


def of_labels(listing: Listing) -> str:
    """Return the fingerprint of what is known of the images: classes, labels, groups and further columns."""
    listing = listing.uncut or listing
    digest = hashlib.sha256(listing.labels.tobytes())
    groups = [] if listing.groups is None else [listing.groups.tolist()]
    known_by_keys = set(OF_PARTS)  # however a table writes them
    for name in sorted(set(listing.columns) - known_by_keys):
        groups += [[name], listing.columns[name]]
    for texts in (listing.classes, listing.keys, *groups):
        digest.update("\0".join([str(len(texts)), *texts]).encode(errors="surrogateescape"))
    return digest.hexdigest()[:_DIGITS]


def _of_files(dataset: OwnDataset, listing: Listing, splits: SplitNames) -> str:
    digest = hashlib.sha256()
    if listing.files:
        recent_state_of = lru_cache(maxsize=64)(state_of)  # as neighboring rows may be parts of one file
        columns = [places(listing.base, names) for names in listing.files.values()]
        split_of = splits.tolist()
        for row in np.flatnonzero(splits != "").tolist():
            states = "\0".join(recent_state_of(column[row]) for column in columns)
            digest.update(f"{listing.keys[row]}\0{split_of[row]}\0{states}\n".encode(errors="surrogateescape"))
    else:
        path = Path(dataset.path)
        for file in sorted(path.glob("*_images.npy")) if path.is_dir() else [path]:
            digest.update(f"{file.name}\0{state_of(str(file))}\n".encode(errors="surrogateescape"))
        digest.update("\0".join(splits.tolist()).encode())
    return digest.hexdigest()[:_DIGITS]


@contextmanager
def _silence() -> Iterator[None]:
    was_disabled, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = was_disabled
