"""The block `finetunes`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.auto import WholeOrAuto
from simclr_steps.settings.labels import LabelBudget
from simclr_steps.settings.optimization import Optimization


class FinetuneSettings(Optimization):
    """Settings for training a classifier on a fraction of the labels."""

    labels: LabelBudget = Field(
        0.3,
        description="Labels to use: a fraction of the training labels (0.3; 1.0 uses all) or a whole number (10), both "
        "stratified by class, the same number for each class (`{per_class: 4}`), or all labels of some groups of "
        "images (`{groups: 3}`). A fraction gives each class at least one.",
    )
    draws: int = Field(
        1,
        gt=0,
        description="Independent draws of the labels, with one training per draw; the first draw's classifier is kept.",
    )
    init: Literal["pretrained", "random", "published"] = Field(
        "pretrained",
        description="Start from the pretrained encoder (`pretrained`) or, with the same network, from random weights "
        "(`random`) or from those that `init: published` of a pretraining takes (`published`). The latter two are "
        "trained once for all pretrainings of a network. See "
        "[docs/weights.md](../docs/weights.md#what-fine-tuning-starts-from).",
    )
    freeze: bool = Field(
        False, description="Train only the head; weights and batch-norm statistics of the encoder are frozen."
    )
    head: Literal["linear", "mlp"] = Field("linear", description="The classifier on top of the features.")
    class_weights: Literal["none", "balanced"] = Field(
        "none",
        description="How much an image counts in the loss: all alike (`none`), or by its class, so that every class "
        "counts alike, however many labels it has (`balanced`: labels / (classes × labels of the class)).",
    )
    augmentation: Augmentation | None = Field(
        None, description="Random views to train on, see the augmentation's keys; null trains on plain images."
    )
    learning_rate: float = Field(0.01, gt=0, description="Peak learning rate; it is not scaled.")
    layer_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Factor that multiplies the learning rate at each layer, from the head (full rate) back to the "
        "first layers. Layers are the network's blocks; 1 uses the same rate for all.",
    )
    epochs: WholeOrAuto = Field(
        "auto",
        description="Passes over the labeled images; `auto` is 30, or more if 1,000 weight updates take more.",
    )
    batch_size: int = Field(128, ge=2, description="Labeled images in a batch.")
    keep: Literal["last", "best"] = Field(
        "last",
        description="Which classifier to keep: the one after the `last` epoch, or after the `best` judged epoch, which "
        "has the highest accuracy on the hold-out (the first one if there is a tie). Each time, a tenth as "
        "many hold-out images are judged as are trained on, but at least 256 and at most 2,048: after every epoch or, "
        "with few labels, every few epochs and after the last one. At the end, all are judged.",
    )
