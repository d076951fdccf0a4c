"""What is required of a data set, said once: `check` asks before any training, and each step for itself.

A data set is given by its description and its name. Keys of a block that has a name are named without it, as in `keep`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from simclr_steps.data.packed import Description, read_groups, read_split
from simclr_steps.data.splits import stratified_draw
from simclr_steps.files import read_json
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.labels import LabelBudget, WholeGroups


def require_batch(images: int, name: str, batch_size: int | Literal["auto"]) -> None:
    """Raise UserError if there are fewer images to pretrain on than one batch has."""
    if images < 2:
        raise UserError(f"{name} has {images} training images, and SimCLR needs at least 2: add some")
    if batch_size != "auto" and batch_size > images:
        raise UserError(
            f"global_batch_size {batch_size} exceeds the {images} training images of {name}: lower it, or write auto"
        )


def require_color(channels: int, keys: Sequence[str], *, is_color: bool) -> None:
    """Raise UserError if an augmentation's keys, which the user wrote, are for colors and the images have none."""
    if keys and not is_color:
        names, they = " and ".join(f"augmentation.{key}" for key in keys), "it needs" if len(keys) == 1 else "they need"
        raise UserError(f"set {names} to 0: {they} 3 color channels, but these have {channels}")


def require_hold_out(images: int, name: str, criterion: str) -> None:
    """Raise UserError if a hold-out of so few images cannot show what a checkpoint is to be chosen by."""
    if criterion != "last" and images < 2:
        raise UserError(
            f"selection.criterion: {criterion} needs a hold-out of at least two images, but that of {name} has "
            f'{images}: raise datasets.{name}.validation_fraction, or write "last"'
        )


def has_labels_to_vote(data: Description) -> bool:
    """Return whether labeled images of the training split can vote for those of the hold-out."""
    return bool(data.splits["train"].labeled and data.splits["validation"].labeled)


def require_labels_to_vote(data: Description, name: str, criterion: str) -> None:
    """Raise UserError if a checkpoint is to be chosen by its neighbors' labels and there are none."""
    if criterion == "knn" and not has_labels_to_vote(data):
        raise UserError(
            f"selection.criterion: knn needs labels in the training split and the hold-out, and {name} lacks them: "
            'write "validate_loss"'
        )


def require_classes(data: Description, name: str) -> None:
    """Raise UserError if there is nothing for a classifier to tell apart."""
    labeled = np.count_nonzero(data.splits["train"].per_class)
    if labeled < 2:
        raise UserError(
            f"a classifier needs labels of at least two classes, but the training split of {name} has {labeled}: "
            "omit finetunes from its experiments, or label images"
        )


def require_labels(folder: Path, data: Description, budget: LabelBudget, draws: int) -> None:
    """Raise UserError if the budget of labels cannot be drawn in each of a number of draws."""
    train = data.splits["train"]
    if isinstance(budget, WholeGroups) and train.groups is not None:
        labels, groups = read_split(folder, "train").labels, read_groups(folder, data, "train")
    else:  # the number of each class is enough
        labels, groups = np.repeat(np.arange(len(train.per_class)), train.per_class), None
    for draw in range(draws):
        stratified_draw(labels, budget, (data.split_seed, draw), groups)


def require_labeled_hold_out(data: Description, name: str, keep: str) -> None:
    """Raise UserError if the hold-out cannot show which epoch of a fine-tuning is to be kept."""
    if keep == "best" and not data.splits["validation"].labeled:
        raise UserError(f'keep: best needs labels in the hold-out, but that of {name} has none: write "last"')


def require_labels_for_umap(data: Description, name: str, splits: Sequence[str], *, supervised: bool) -> None:
    """Raise UserError if UMAP is to be shown the labels of some splits and there are none."""
    if supervised and not any(data.splits[split].labeled for split in splits):
        raise UserError(
            f"umap.supervised: {' and '.join(splits)} of {name} has no labels for UMAP to use: set it to false"
        )


def split_of_features(features: Path, data: Path, description: Description) -> str:
    """Return the split whose gathered features a folder holds.

    Raises
    ------
    UserError
        If they were computed from other images than those of `data`; or, for unlabeled images, with other labels, which
        decide whose features they are.
    """
    facts = read_json(features / "run.json")
    expected = description.content_hash if facts["split"] == "unlabeled" else description.pixel_hash
    if facts["run"]["data_hash"] != expected:
        raise UserError(f"{features} was computed from data other than {data}: run predict and gather again")
    return str(facts["split"])
