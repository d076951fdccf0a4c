"""The user's own files: they are where the config says, and not where the workflow writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from simclr_steps.machine.errors import UserError
from simclr_steps.settings.datasets import FolderDataset
from simclr_steps.settings.plan import Plan


def check_own_files(plan: Plan, place: Callable[[str], str]) -> None:
    """Raise UserError unless the user's own files are there, and apart from what the workflow writes.

    Data must not lie in any of its folders. Weights may, as results of another config, if this one does not write
    them.

    Parameters
    ----------
    place
        Returns where a path below the workflow's folder is.
    """
    for key, path in plan.own_files.items():
        if not path.exists():
            raise UserError(f"{key}: {path} does not exist: fix the path")
        if path.is_dir() and not key.endswith("path"):  # as datasets.NAME.path and weights_path may be
            raise UserError(f"{key}: {path} is a folder: give the path of the file of weights in it")
    for name, path in plan.paths.items():
        searched = isinstance(plan.config.datasets[name], FolderDataset) and path.is_dir()
        for folder in map(place, _folders(plan)):
            _check_apart(f"datasets.{name}.path", path, folder, searched=searched)
    weights = {key: path for key, path in plan.own_files.items() if not key.startswith("datasets.")}
    if weights:
        _check_weights(plan, weights, place)


def _folders(plan: Plan) -> list[str]:
    """Return the folders that the workflow writes, below its own."""
    published = ["resources/weights"] if plan.published else []
    return ["benchmarks", "logs", *(f"resources/{name}" for name in plan.datasets), *published, "results", "work"]


def _check_apart(key: str, path: Path, folder: str, *, searched: bool) -> None:
    """Raise UserError when data lie in a folder that the workflow writes, or are searched for in one that holds it."""
    data, written = path.resolve(), Path(folder).resolve()
    if data.is_relative_to(written):
        raise UserError(f'{key}: {path} is in "{folder}", where the workflow writes: move the data elsewhere')
    if searched and written.is_relative_to(data):
        raise UserError(f'{key}: {path} contains "{folder}", where the workflow writes: use a folder with only images')


def _check_weights(plan: Plan, weights: dict[str, Path], place: Callable[[str], str]) -> None:
    """Raise UserError when weights, by their keys, lie where a plan writes some: each training would change them."""
    trained: dict[str, tuple[str, str]] = {}  # data set and pretraining, by the folders of their weights
    for run, training in plan.trainings.items():
        trained |= {f"results/{run}/pretrain": training, f"work/{run}/pretrain": training}
    trained |= {f"results/{one.folder}/encoder": (one.dataset, one.pretrain) for one in plan.runs}
    tuned = [f"{top}/{one}" for top in ("results", "work") for one in plan.finetunings]
    downloaded = [f"resources/weights/{name}" for name, one in plan.published.items() if one.path is None]
    written = {Path(place(folder)).resolve(): folder for folder in [*trained, *tuned, *downloaded]}
    starting = {(f"pretrains.{name}.init", dataset) for dataset, name in plan.trainings.values()}
    for key, path in weights.items():
        given = path.resolve()
        folder = next((written[one] for one in (given, *given.parents) if one in written), None)
        if folder is None:
            continue
        dataset, name = trained.get(folder, ("", ""))
        longer = f"to train it further, write continue: {name} in a block of its own; otherwise "
        raise UserError(
            f'{key}: {path} is in "{place(folder)}", where this config writes weights: '
            f"{longer if (key, dataset) in starting else ''}copy the file elsewhere and name the copy"
        )
