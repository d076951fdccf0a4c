"""The block `evaluation`."""

from __future__ import annotations

from pydantic import Field

from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.base import Settings
from simclr_steps.settings.labels import LabelBudget


class EvaluationSettings(Settings):
    """How frozen features are judged, on the hold-out and on the test split."""

    knn_neighbors: int = Field(10, gt=0, description="Neighbors that vote, by cosine similarity.")
    labels: list[LabelBudget] = Field(
        [0.01, 0.1, 1.0],
        min_length=1,
        description="Label budgets of logistic regression, each as `labels` of a fine-tuning: a fraction, a whole "
        "number, or `{per_class: number}`.",
    )
    draws: int = Field(3, gt=0, description="Independent draws of the labels for each budget.")
    augmentation: Augmentation | None = Field(
        Augmentation(
            crop_scale=(0.8, 1.0), horizontal_flip_probability=0.0, jitter_probability=0.0, grayscale_probability=0.0
        ),
        description="Random views for the linear probe that is trained, with all labels, on views instead of plain "
        "images, see the augmentation's keys. null leaves that probe out.",
    )
