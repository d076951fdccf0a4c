"""How good a classifier's guesses and probabilities are."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_auroc,
    multiclass_accuracy,
    multiclass_calibration_error,
    multiclass_confusion_matrix,
    multiclass_f1_score,
    multiclass_precision,
    multiclass_recall,
)

_CALIBRATION_BINS = 15


def classification_metrics(logits: Tensor, labels: Tensor, classes: list[str]) -> dict[str, Any]:
    """Return what logits [N, C] are worth for labels, int64 [N], N > 0.

    accuracy is top-1; top_5_accuracy is there for more than five classes. macro_f1 is a mean over the classes that have
    images or were guessed, and auroc (one class against the rest) over those that have images and are not all there is;
    it is None where there is no such class. calibration_error is the expected one over 15 bins of confidence (Guo et
    al., "On Calibration of Modern Neural Networks", 2017, equation 3). confusion_matrix has a row for each true class.
    per_class holds images, precision, recall and f1 of each class, all None for a class without images.
    """
    count = len(classes)
    chances = logits.float().softmax(dim=1)
    metrics: dict[str, Any] = {
        "images": len(labels),
        "accuracy": float(multiclass_accuracy(chances, labels, count, average="micro")),
        "macro_f1": float(multiclass_f1_score(chances, labels, count, average="macro")),
        "auroc": _auroc(chances, labels),
        "calibration_error": float(multiclass_calibration_error(chances, labels, count, n_bins=_CALIBRATION_BINS)),
        "confusion_matrix": multiclass_confusion_matrix(chances, labels, count).tolist(),
        "per_class": _per_class(chances, labels, classes),
    }
    if count > 5:
        metrics["top_5_accuracy"] = float(multiclass_accuracy(chances, labels, count, average="micro", top_k=5))
    return metrics


def _auroc(chances: Tensor, labels: Tensor) -> float | None:
    present = labels.unique()
    if len(present) < 2:
        return None
    return float(np.mean([float(binary_auroc(chances[:, label], (labels == label).long())) for label in present]))


def _per_class(chances: Tensor, labels: Tensor, classes: list[str]) -> list[dict[str, Any]]:
    measures = {"precision": multiclass_precision, "recall": multiclass_recall, "f1": multiclass_f1_score}
    values = {name: measure(chances, labels, len(classes), average=None) for name, measure in measures.items()}
    images = labels.bincount(minlength=len(classes)).tolist()
    return [
        {"class": name, "images": images[row]}
        | {measure: float(column[row]) if images[row] else None for measure, column in values.items()}
        for row, name in enumerate(classes)
    ]
