"""Split a data set, and pack the pixels of its images into arrays."""

from __future__ import annotations

from pathlib import Path

from simclr_steps.data.disk_space import require_space
from simclr_steps.data.fingerprints import fingerprints
from simclr_steps.data.packed_writer import pack
from simclr_steps.data.sources import opened
from simclr_steps.data.splits import assigned_splits
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
        When an input is wrong or missing, an image is unreadable, or the disk is full.
    """
    with opened(dataset, originals, workers) as source:
        splits = assigned_splits(dataset, source.splits, source.labels, source.groups)
        own = fingerprints(dataset).pixels if isinstance(dataset, FolderDataset | ArraysDataset) else None
        record = Record("prepare", dataset, own)
        if isinstance(dataset, FolderDataset):
            require_space(source, splits, out)
        packed = pack(source, splits, out, record=record)
    log.info("%s, images: %s", packed.image_format, ", ".join(f"{split} {n}" for split, n in packed.images.items()))
    if skipped := sum(map(len, packed.skipped.values())):
        log.warning("%d unreadable images were left out: images.json lists them as skipped", skipped)
