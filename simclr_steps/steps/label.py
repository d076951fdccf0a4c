"""Write down what is known of packed images: labels, groups and further columns."""

from __future__ import annotations

from pathlib import Path

from simclr_steps.data.fingerprints import of_labels
from simclr_steps.data.label_writer import write_labels
from simclr_steps.data.labels import unjudged_classes
from simclr_steps.data.packed import read_packed
from simclr_steps.data.repeated import sentences
from simclr_steps.data.sources import listed, origin
from simclr_steps.machine.logs import log
from simclr_steps.machine.provenance import Record
from simclr_steps.settings.datasets import ArraysDataset, Dataset, FolderDataset


def label(dataset: Dataset, *, data: Path, originals: Path | None, out: Path) -> None:
    """Write the labels and the table of rows of every split, dataset.json and table.csv to `out`.

    Reads the source's labels as they are now and what prepare wrote into `data`, and no pixel; see data/packed.py for
    the format. What looks wrong with the labels is said.

    Parameters
    ----------
    originals
        The list that download wrote, which digits and torchvision sets need.

    Raises
    ------
    UserError
        When an input is wrong or missing, when the source no longer has an image that was packed, or when the disk is
        full.
    """
    packed, listing = read_packed(data), listed(dataset, originals, data)
    own = of_labels(listing) if isinstance(dataset, FolderDataset | ArraysDataset) else None
    record = Record("label", dataset, own)
    place = origin(dataset, originals)
    description = write_labels(listing, data, packed, out, split_seed=dataset.split_seed, origin=place, record=record)
    counts = ", ".join(f"{split} {part.images}" for split, part in description.splits.items())
    log.info("%d classes, images: %s", len(description.classes), counts)
    for sentence in [*sentences(description), *unjudged_classes(description)]:
        log.warning("warning: %s", sentence)
