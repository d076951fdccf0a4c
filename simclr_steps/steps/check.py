"""Check that a data set has what the experiments ask of it, before anything is trained on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from simclr_steps.data.packed import Description, read_description
from simclr_steps.data.splits import stratified_draw
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.plan import Demands


def check(demands: Demands, *, data: Path) -> None:
    """Compare what is asked of a packed data set with its dataset.json, the only file that is read.

    Raises UserError that names the key to fix if an experiment would fail for lack of images or labels.
    """
    description = read_description(data)
    _check_pretraining(demands, description, data.name)
    _check_finetuning(demands, description, data.name)
    _check_drawing(demands, description, data.name)


def _check_pretraining(demands: Demands, description: Description, name: str) -> None:
    splits, criterion = description.splits, demands.criterion
    images = splits["train"].images + splits["unlabeled"].images
    for pretrain, batch_size in demands.batch_sizes.items():
        if batch_size > images:
            raise UserError(
                f"{pretrain}: global_batch_size {batch_size} exceeds the {images} images of {name} to train on: "
                "make it smaller"
            )
    if criterion != "last" and splits["validation"].images < 2:
        raise UserError(
            f"selection.criterion: {criterion} needs a hold-out of at least two images, but that of {name} has "
            f'{splits["validation"].images}: raise datasets.{name}.validation_fraction, or write "last"'
        )
    if criterion == "knn" and not (splits["train"].labeled and splits["validation"].labeled):
        raise UserError(
            f"selection.criterion: knn needs labels in the training split and the hold-out, and {name} lacks them: "
            'write "validate_loss"'
        )


def _check_finetuning(demands: Demands, description: Description, name: str) -> None:
    per_class = description.splits["train"].per_class
    labels = np.repeat(np.arange(len(per_class)), per_class)
    for finetune, block in demands.finetunes.items():
        if np.count_nonzero(per_class) < 2:
            raise UserError(
                f"finetunes.{finetune}: a classifier needs labels of at least two classes, but the training split of "
                f"{name} has {np.count_nonzero(per_class)}: omit finetunes from its experiments, or label images"
            )
        try:
            stratified_draw(labels, block.labels, seed=0)
        except UserError as error:
            raise UserError(f"finetunes.{finetune}.{error}") from None
        if block.keep == "best" and not description.splits["validation"].labeled:
            raise UserError(
                f"finetunes.{finetune}.keep: best needs labels in the hold-out, but that of {name} has none: write "
                '"last"'
            )


def _check_drawing(demands: Demands, description: Description, name: str) -> None:
    split = description.splits[demands.drawn]
    if not split.images:
        raise UserError(
            f"umap.split: {demands.drawn} of {name} has no images to draw: choose another split, or raise "
            f"datasets.{name}.{demands.drawn}_fraction"
        )
    if demands.supervised and not split.labeled:
        raise UserError(f"umap.supervised: {demands.drawn} of {name} has no labels to show UMAP: set it to false")
