"""How good a classifier's guesses and probabilities are."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_auroc,
    multiclass_accuracy,
    multiclass_confusion_matrix,
    multiclass_f1_score,
    multiclass_precision,
    multiclass_recall,
)

from simclr_steps.data.row_tables import log_odds
from simclr_steps.evaluation.calibration import calibration_error


def classification_metrics(logits: Tensor, labels: Tensor, classes: list[str]) -> dict[str, Any]:
    """Return what logits [N, C] are worth for labels, int64 [N], N > 0.

    accuracy is top-1; top_5_accuracy is there for more than five classes. macro_f1 is a mean over the classes that have
    images or were guessed, and auroc (one class against the rest) over those that have images and are not all there is;
    it is None where there is no such class. What ranks uses logits or their log-odds in float64, as probabilities round
    to 0 and 1. calibration_error is the expected one, before any division by a temperature. confusion_matrix has a row
    for each true class. per_class holds images, precision, recall and f1 of each class, all None for a class without
    images.
    """
    count = len(classes)
    logits = logits.double()
    metrics: dict[str, Any] = {
        "images": len(labels),
        "accuracy": float(multiclass_accuracy(logits, labels, count, average="micro")),
        "macro_f1": float(multiclass_f1_score(logits, labels, count, average="macro")),
        "auroc": _auroc(logits, labels),
        "calibration_error": calibration_error(logits, labels),
        "confusion_matrix": multiclass_confusion_matrix(logits, labels, count).tolist(),
        "per_class": _per_class(logits, labels, classes),
    }
    if count > 5:
        metrics["top_5_accuracy"] = float(multiclass_accuracy(logits, labels, count, average="micro", top_k=5))
    return metrics


def _auroc(logits: Tensor, labels: Tensor) -> float | None:
    present = labels.unique()
    if len(present) < 2:
        return None
    odds = torch.from_numpy(log_odds(logits.numpy()))
    ranks = [odds[:, label].unique(return_inverse=True)[1] / len(odds) for label in present]  # in [0, 1), so used as is
    return float(np.mean([float(binary_auroc(r, (labels == at).long())) for r, at in zip(ranks, present, strict=True)]))


def _per_class(logits: Tensor, labels: Tensor, classes: list[str]) -> list[dict[str, Any]]:
    measures = {"precision": multiclass_precision, "recall": multiclass_recall, "f1": multiclass_f1_score}
    values = {name: measure(logits, labels, len(classes), average=None) for name, measure in measures.items()}
    images = labels.bincount(minlength=len(classes)).tolist()
    return [
        {"class": name, "images": images[row]}
        | {measure: float(column[row]) if images[row] else None for measure, column in values.items()}
        for row, name in enumerate(classes)
    ]
