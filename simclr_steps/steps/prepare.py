"""Split a data set, and pack the pixels of its images into arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from simclr_steps.data.boxes import NOWHERE
from simclr_steps.data.disk_space import require_space
from simclr_steps.data.fingerprints import of_pixels
from simclr_steps.data.packed_writer import ImageSource, check_place, pack
from simclr_steps.data.sources import opened
from simclr_steps.data.splits import SplitNames, assigned_splits
from simclr_steps.machine.logs import log
from simclr_steps.machine.provenance import Record
from simclr_steps.settings.datasets import ArraysDataset, Dataset, FolderDataset


def prepare(dataset: Dataset, *, originals: Path | None, out: Path, workers: int) -> None:
    """Write the packed arrays of all splits and images.json to `out`; see data/packed.py for the format.

    Parameters
    ----------
    originals
        The list that download wrote, which digits and torchvision sets need.
    workers
        Processes that decode images; their number changes nothing but the time it takes.

    Raises
    ------
    UserError
        When an input is wrong or missing, an image is unreadable, the disk is full, or `out` has files of the
        user of the names of those that are written.
    """
    check_place(out)
    with opened(dataset, originals, workers) as source:
        splits = _splits(dataset, source)
        own = of_pixels(dataset, source) if isinstance(dataset, FolderDataset | ArraysDataset) else None
        record = Record("prepare", dataset, own)
        if isinstance(dataset, FolderDataset):
            require_space(source, splits, out)
        packed = pack(source, splits, out, record=record)
    log.info("%s, images: %s", packed.image_format, ", ".join(f"{split} {n}" for split, n in packed.images.items()))
    if skipped := sum(map(len, packed.skipped.values())):
        log.warning("%d unreadable images were left out: images.json lists them as skipped", skipped)


def _splits(dataset: Dataset, source: ImageSource) -> SplitNames:
    """Return the split of each row: those that are drawn are drawn from the images that could be cut.

    One that could not be read would count as one tile and fill a split by itself, so it goes to train, to be named.
    """
    is_cut = np.array([box != NOWHERE for box in source.boxes or source.names])
    rows = np.flatnonzero(is_cut)
    groups = None if source.groups is None else source.groups[rows]
    drawn = assigned_splits(dataset, source.splits[rows], source.labels[rows], groups)
    splits = np.full(len(is_cut), "train", dtype=drawn.dtype)
    splits[rows] = drawn
    return splits
