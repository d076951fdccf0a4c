"""The block `evaluation`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.base import Settings
from simclr_steps.settings.labels import LabelBudget


class EvaluationSettings(Settings):
    """How frozen features are evaluated on the hold-out and the test split."""

    knn_neighbors: int = Field(10, gt=0, description="Number of neighbors that vote, by cosine similarity.")
    labels: Annotated[list[LabelBudget], Field(min_length=1)] | Literal["auto"] = Field(
        "auto",
        description="Label budgets for logistic regression, given like a fine-tuning's `labels`: a fraction, a whole "
        "number, `{per_class: number}`, or `{groups: number}`. `auto` is 1 %, 10 % and all of the labels, the "
        "former two at least 5 per class.",
    )
    draws: int = Field(3, gt=0, description="Independent draws of the labels per budget.")
    augmentation: Augmentation | None = Field(
        Augmentation(
            crop_scale=(0.8, 1.0), horizontal_flip_probability=0.0, jitter_probability=0.0, grayscale_probability=0.0
        ),
        description="Random views for the additional linear probe that is trained on views instead of plain images, "
        "with all labels; see the augmentation's keys. null omits this probe.",
    )
