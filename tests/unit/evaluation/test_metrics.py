from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score, top_k_accuracy_score

from simclr_steps.evaluation.metrics import classification_metrics

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 6, 500)  # of seven classes, so one has no image
LOGITS = 3 * RANDOM.normal(size=(500, 7)) + 2 * np.eye(7)[LABELS]
METRICS = classification_metrics(torch.from_numpy(LOGITS), torch.from_numpy(LABELS), list("abcdefg"))


def test_each_classs_figures_are_scikit_learns_and_none_without_images() -> None:
    guesses = LOGITS.argmax(axis=1)
    precision, recall, f1, images = precision_recall_fscore_support(LABELS, guesses, labels=range(7), zero_division=0)
    expected = [
        {"class": name, "images": images[row], "precision": precision[row], "recall": recall[row], "f1": f1[row]}
        for row, name in enumerate("abcdef")
    ]
    assert METRICS["per_class"][:6] == [pytest.approx(one) for one in expected]
    assert METRICS["per_class"][6] == {"class": "g", "images": 0, "precision": None, "recall": None, "f1": None}
    json.dumps(METRICS, allow_nan=False)


def test_top_5_is_scikit_learns_and_is_left_out_for_few_classes() -> None:
    assert METRICS["top_5_accuracy"] == pytest.approx(top_k_accuracy_score(LABELS, LOGITS, k=5, labels=range(7)))
    few = classification_metrics(torch.from_numpy(LOGITS[:, :5]), torch.from_numpy(LABELS % 5), list("abcde"))
    assert "top_5_accuracy" not in few


def test_auroc_is_the_mean_over_classes_with_images_and_none_if_only_one_has_any(
    recwarn: pytest.WarningsRecorder,
) -> None:
    chances = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    expected = np.mean([roc_auc_score(label == LABELS, chances[:, label]) for label in range(6)])
    assert METRICS["auroc"] == pytest.approx(expected, abs=1e-6)
    of_one = LABELS == 2
    alone = classification_metrics(torch.from_numpy(LOGITS[of_one]), torch.from_numpy(LABELS[of_one]), list("abcdefg"))
    assert alone["auroc"] is None and not list(recwarn)
    json.dumps(alone, allow_nan=False)


def test_ranks_are_exact_where_probabilities_round_to_one() -> None:
    """One class of two leads by 50, 60, 70 and so on; as float32, its probability is 1 for all images."""
    leads = torch.arange(50.0, 170.0, 10.0, dtype=torch.float64)
    logits = torch.stack([leads, torch.zeros(12, dtype=torch.float64)], dim=1)
    labels = (leads < 110).long()  # of the second class where the lead is small
    assert classification_metrics(logits, labels, ["a", "b"])["auroc"] == 1


def test_top_5_is_exact_where_probabilities_round_to_zero() -> None:
    logits = torch.tensor([[1.0, 2, 3, 4, 5, 6, 1000]], dtype=torch.float64)
    for label, among_5 in ((1, 0.0), (2, 1.0)):
        metrics = classification_metrics(logits, torch.tensor([label]), list("abcdefg"))
        assert metrics["top_5_accuracy"] == among_5


def test_calibration_error_is_the_papers_formula_over_15_bins() -> None:
    chances = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    confidence, right = chances.max(axis=1), chances.argmax(axis=1) == LABELS
    bins = np.ceil(confidence * 15)
    error = sum(
        (bins == one).mean() * abs(right[bins == one].mean() - confidence[bins == one].mean()) for one in set(bins)
    )
    assert METRICS["calibration_error"] == pytest.approx(error, abs=1e-5)
