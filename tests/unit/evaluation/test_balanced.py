"""Balanced weights and accuracies are scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score
from sklearn.utils.class_weight import compute_sample_weight

from simclr_steps.evaluation.balanced import balanced_accuracies, balanced_weights

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.choice(4, 300, p=[0.8, 0.12, 0.07, 0.01]) * 2  # classes 0, 2, 4 and 6
GUESSES = np.where(RANDOM.random(300) < 0.3, RANDOM.integers(0, 7, 300), LABELS)
GROUPS = np.array([f"g{row // 9}" for row in range(300)])


def test_weights_and_balanced_accuracy_are_scikit_learns(recwarn: pytest.WarningsRecorder) -> None:
    np.testing.assert_allclose(balanced_weights(LABELS), compute_sample_weight("balanced", LABELS), rtol=1e-12)
    right = LABELS == GUESSES
    found = balanced_accuracies(LABELS, None, accuracy=right)
    recwarn.clear()
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(LABELS, GUESSES))
    assert abs(found["balanced_accuracy"] - right.mean()) > 0.01
    assert set(found) == {"balanced_accuracy", "effective_images"}


def test_the_effective_number_is_that_of_a_balanced_set_with_the_same_standard_error() -> None:
    """Of classes that are right equally often the variance is p (1 - p) times the mean of 1 / n_c over k."""
    counts = np.unique(LABELS, return_counts=True)[1]
    effective = balanced_accuracies(LABELS, None)["effective_images"]
    assert effective == round(len(counts) / np.mean(1 / counts)) < 100
    assert balanced_accuracies(np.arange(50) % 5, None)["effective_images"] == 50


def test_groups_sum_to_the_same_accuracy() -> None:
    found = balanced_accuracies(LABELS, GROUPS, accuracy=LABELS == GUESSES, other=GUESSES == 0)
    of_groups = found["balanced_by_group"]
    assert len(of_groups["images"]) == 34 and sum(of_groups["images"]) == pytest.approx(300)
    for name in ("balanced_accuracy", "balanced_other"):
        assert sum(of_groups[name]) / sum(of_groups["images"]) == pytest.approx(found[name])
