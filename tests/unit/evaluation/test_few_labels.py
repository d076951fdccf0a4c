"""Logistic regression on few labels says what cannot be measured, and measures the rest."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from simclr_steps.evaluation.few_labels import few_labels, fitted_budgets
from simclr_steps.settings.labels import LabelBudget, PerClass, WholeGroups
from tests.unit.conftest import digits

CPU = torch.device("cpu")


def test_a_budget_that_cannot_be_drawn_is_left_out_with_its_reason() -> None:
    splits = {"train": digits(60), "test": digits(30, 60)}
    features = {name: images.reshape(len(images), -1).astype(np.float32) for name, (images, _) in splits.items()}
    labels = {name: of_split for name, (_, of_split) in splits.items()}
    found = few_labels("pixels", features, labels, [4, 20, PerClass(per_class=2), 1000], 2, 0, CPU)
    accuracy = {(str(row["labels"]), row["draw"]): row["accuracy"] for row in found.results}
    assert set(accuracy) == {("20", 0), ("20", 1)}
    assert {key: mask.mean() for key, mask in found.right.items()} == accuracy
    unmeasured, same, too_many = found.notes
    assert (
        "4 gives 4 of 60 labels" in unmeasured
        and "2 per class is 20 labels, as another is" in same
        and "1000" in too_many
    )


@pytest.mark.parametrize(
    ("images", "classes", "budgets"),
    [
        (45_000, 10, [0.01, 0.1, 1.0]),
        (5_000, 10, [50, 0.1, 1.0]),
        (320, 2, [10, 0.1, 1.0]),
        (300, 10, [50, 1.0]),
        (50, 10, [1.0]),
    ],
)
def test_budgets_that_fit_the_labels_are_shares_of_them_but_at_least_five_per_class(
    images: int, classes: int, budgets: list[LabelBudget]
) -> None:
    assert fitted_budgets(np.arange(images) % classes) == budgets


def test_labels_that_come_from_groups_say_from_how_many() -> None:
    splits = {"train": digits(60), "test": digits(30, 60)}
    features = {name: images.reshape(len(images), -1).astype(np.float32) for name, (images, _) in splits.items()}
    labels = {name: of_split for name, (_, of_split) in splits.items()}
    groups = {name: (np.arange(len(given)) // 20).astype(np.str_) for name, given in labels.items()}
    results = few_labels("pixels", features, labels, [20, 1.0], 1, 0, CPU, groups).results
    assert {row["labels"]: row["label_groups"] for row in results} == {20: 3, 60: 3}
    budgets: list[LabelBudget] = [20, WholeGroups(groups=1), WholeGroups(groups=2)]
    results = few_labels("pixels", features, labels, budgets, 2, 0, CPU, groups).results
    found = [(row.get("budget"), row["labels"], row["label_groups"]) for row in results if row["draw"] == 0]
    assert found == [(None, 20, 3), ("{groups: 1}", 20, 1), ("{groups: 2}", 40, 2)]
    plain = few_labels("pixels", features, labels, [20], 1, 0, CPU).results
    assert "label_groups" not in plain[0]
