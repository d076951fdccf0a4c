"""The images that a data set's block names, wherever they come from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simclr_steps.data.cut_images import list_as_packed
from simclr_steps.data.folder_listing import list_folder
from simclr_steps.data.image_folders import read_folder
from simclr_steps.data.known_sets import image_set, set_name
from simclr_steps.data.listing import Listing
from simclr_steps.data.numpy_files import read_arrays
from simclr_steps.data.originals import Originals, read_originals
from simclr_steps.data.packed_writer import ImageSource
from simclr_steps.files import read_json
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.datasets import ArraysDataset, Dataset, DigitsDataset, FolderDataset, TorchvisionDataset


@contextmanager
def opened(dataset: Dataset, originals: Path | None, workers: int) -> Iterator[ImageSource]:
    """Yield a data set's images; `originals` is the list that download wrote.

    Raises
    ------
    UserError
        When an input is wrong or missing.
    """
    if isinstance(dataset, FolderDataset):
        yield read_folder(dataset, workers)
    elif isinstance(dataset, ArraysDataset):
        yield read_arrays(dataset)
    else:
        paths = {file["name"]: Path(file["path"]) for file in _listed_files(dataset, originals)}
        with Originals(image_set(dataset), paths) as files:
            yield read_originals(files)


def listed(dataset: Dataset, originals: Path | None, data: Path) -> Listing:
    """Return what a data set tells of its images, which prepare packed into `data`; none is read. See `opened`."""
    if isinstance(dataset, FolderDataset):
        return list_as_packed(dataset, data) if dataset.tiles else list_folder(dataset)
    with opened(dataset, originals, workers=1) as source:
        return source


def origin(dataset: Dataset, originals: Path | None) -> dict[str, Any]:
    """Return what dataset.json says of where a data set's images come from."""
    if isinstance(dataset, FolderDataset | ArraysDataset):
        return {"source": dataset.source, "path": str(Path(dataset.path).absolute())}
    return {"source": dataset.source, "name": set_name(dataset), "files": _listed_files(dataset, originals)}


def _listed_files(dataset: DigitsDataset | TorchvisionDataset, originals: Path | None) -> list[dict[str, Any]]:
    name = set_name(dataset)
    if originals is None:
        raise UserError(f"--originals is missing: {name} needs the list that download wrote")
    content = read_json(originals)
    if content.get("dataset") != name:
        raise UserError(f"{originals} lists the originals of {content.get('dataset')}, not of {name}: run download")
    files: list[dict[str, Any]] = content["files"]
    return files
