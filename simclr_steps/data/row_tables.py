"""Tables with what is known of each image of a split, as results have them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import logsumexp

from simclr_steps.data.packed import Description, read_labels, read_rows
from simclr_steps.settings.base import NO_LABEL

_Float = TypeVar("_Float", np.float32, np.float64)


def row_table(data: Path, description: Description, split: str) -> pd.DataFrame:
    """Return row, source, label and class of every image of an array, its group if it has one, and further columns.

    A column that may be empty for thousands of rows on end is of a type that says so in each of them, as `string` does.
    """
    labels, rows = read_labels(data, split), read_rows(data, description, split)
    known = {
        "row": np.arange(len(labels), dtype=np.int64),
        "source": rows["source"],
        "label": _nullable(labels),
        "class": class_names(labels, description.classes),
    }
    return pd.DataFrame(known | {name: rows[name] for name in rows if name not in known})


def _nullable(labels: npt.NDArray[np.int64]) -> pd.Series[Any]:
    return pd.Series(labels, dtype="Int64").mask(labels == NO_LABEL)


def probabilities(logits: npt.NDArray[_Float]) -> npt.NDArray[_Float]:
    """Return the softmax of logits, [N, classes]."""
    scores: npt.NDArray[Any] = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores /= scores.sum(axis=1, keepdims=True)
    return scores


def log_odds(logits: npt.NDArray[_Float]) -> npt.NDArray[np.float64]:
    """Return the log-odds of each class against all others, float64 [N, C], of logits, [N, C].

    They rank where probabilities do not, which round to 0 and 1; they are exact for a row's likeliest class, too.
    """
    of_classes = logits.astype(np.float64)
    likeliest = of_classes.argmax(axis=1, keepdims=True)
    log_chances = of_classes - logsumexp(of_classes, axis=1, keepdims=True)
    others = of_classes.copy()
    np.put_along_axis(others, likeliest, -np.inf, axis=1)
    with np.errstate(divide="ignore"):  # of a likeliest class whose probability rounds to 1, which is replaced
        odds = log_chances - np.log1p(-np.exp(log_chances))
    lead = np.take_along_axis(of_classes, likeliest, axis=1) - logsumexp(others, axis=1, keepdims=True)
    np.put_along_axis(odds, likeliest, lead, axis=1)
    return odds


def class_names(labels: npt.NDArray[np.int64], classes: list[str]) -> pd.Series[Any]:
    """Return the names of classes, null where there is no label: int64 [N]."""
    return pd.Series([classes[label] if label != NO_LABEL else None for label in labels], dtype="string")


def probability_columns(names: Iterable[object]) -> dict[str, str]:
    """Return the column that holds each class's probability, of the columns of a classifier's predictions."""
    begin = "probability_"
    return {str(name).removeprefix(begin): str(name) for name in names if str(name).startswith(begin)}
