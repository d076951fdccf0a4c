"""Pack a data set's images into arrays, split it, and describe it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simclr_steps.data.disk_space import require_space
from simclr_steps.data.image_files import fingerprint
from simclr_steps.data.image_folders import read_folder
from simclr_steps.data.known_sets import image_set, set_name
from simclr_steps.data.labels import doubts
from simclr_steps.data.numpy_files import read_arrays
from simclr_steps.data.originals import Originals, read_originals
from simclr_steps.data.packed_writer import ImageSource, pack
from simclr_steps.data.repeated import sentences
from simclr_steps.data.splits import assign_splits
from simclr_steps.files import read_json
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.machine.provenance import Record
from simclr_steps.settings.datasets import ArraysDataset, Dataset, DigitsDataset, FolderDataset, TorchvisionDataset


def prepare(dataset: Dataset, *, originals: Path | None, out: Path, workers: int) -> None:
    """Write the packed arrays of all splits and dataset.json to `out`; see data/packed.py for the format.

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
    own_files = fingerprint(dataset) if isinstance(dataset, FolderDataset | ArraysDataset) else None
    record = Record("prepare", dataset, own_files)
    with _opened(dataset, originals, workers) as (source, origin):
        splits = assign_splits(
            source.splits,
            source.labels,
            validation_fraction=dataset.validation_fraction,
            test_fraction=dataset.test_fraction,
            subset=dataset.subset,
            seed=dataset.split_seed,
            groups=source.groups,
        )
        for doubt in doubts(source, splits):
            log.warning("labels: %s", doubt)
        if isinstance(dataset, FolderDataset):
            require_space(source, splits, out)
        description = pack(source, splits, out, split_seed=dataset.split_seed, origin=origin, record=record)
    counts = ", ".join(f"{split} {part.images}" for split, part in description.splits.items())
    log.info("%s, images: %s", description.image_format, counts)
    for sentence in sentences(description):
        log.warning("warning: %s", sentence)
    if description.skipped:
        log.warning("%d unreadable images were left out: dataset.json lists them as skipped", len(description.skipped))


@contextmanager
def _opened(dataset: Dataset, originals: Path | None, workers: int) -> Iterator[tuple[ImageSource, dict[str, Any]]]:
    """Yield a data set's images, and what dataset.json says of where they came from."""
    if isinstance(dataset, FolderDataset):
        yield read_folder(dataset, workers), {"source": "folder", "path": str(Path(dataset.path).absolute())}
    elif isinstance(dataset, ArraysDataset):
        yield read_arrays(dataset), {"source": "arrays", "path": str(Path(dataset.path).absolute())}
    else:
        listed = _listed_files(dataset, originals)
        paths = {file["name"]: Path(file["path"]) for file in listed}
        with Originals(image_set(dataset), paths) as files:
            yield read_originals(files), {"source": dataset.source, "name": set_name(dataset), "files": listed}


def _listed_files(dataset: DigitsDataset | TorchvisionDataset, originals: Path | None) -> list[dict[str, Any]]:
    name = set_name(dataset)
    if originals is None:
        raise UserError(f"--originals is missing: {name} needs the list that download wrote")
    content = read_json(originals)
    if content.get("dataset") != name:
        raise UserError(f"{originals} lists the originals of {content.get('dataset')}, not of {name}: run download")
    files: list[dict[str, Any]] = content["files"]
    return files
