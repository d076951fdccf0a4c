"""The block `finetunes`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.labels import LabelBudget
from simclr_steps.settings.optimization import Optimization


class FinetuneSettings(Optimization):
    """One way to train a classifier on a share of the labels."""

    labels: LabelBudget = Field(
        0.3,
        description="How many labels to use: a fraction of the training labels (0.3; 1.0 is all of them) or a whole "
        "number of them (10), in either case stratified by class, or the same number of each class "
        "(`{per_class: 4}`).",
    )
    draws: int = Field(
        1, gt=0, description="Independent draws of the labels, one training each; the first draw's classifier is kept."
    )
    init: Literal["pretrained", "random"] = Field(
        "pretrained", description="Start from the pretrained encoder or from random weights."
    )
    freeze: bool = Field(False, description="Train the head alone, on frozen weights and batch-norm statistics.")
    head: Literal["linear", "mlp"] = Field("linear", description="The classifier on top of the features.")
    augmentation: Augmentation | None = Field(
        None, description="Random views to train on, see the augmentation's keys; null trains on the plain images."
    )
    learning_rate: float = Field(0.01, gt=0, description="Highest learning rate; it is not scaled.")
    layer_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description="What the learning rate is multiplied by at each step from the head, which has all of it, back to "
        "the first layers. Layers are the network's blocks; 1 gives all the same.",
    )
    epochs: int = Field(30, gt=0, description="Passes over the labeled images.")
    batch_size: int = Field(128, ge=2, description="Labeled images in a batch.")
    keep: Literal["last", "best"] = Field(
        "last",
        description="The classifier that is kept: `last` as it is after the last epoch, `best` as it was after the "
        "epoch of highest accuracy on the hold-out, the first of equals.",
    )
