"""Losses of a pretraining that can be compared: less that of chance, which grows with the number of negatives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from simclr_steps.data.splits import drawn_while_training

LOSSES = {"loss": "loss_beside_chance", "validate_loss": "validate_loss_beside_chance"}


def beside_chance(history: pd.DataFrame, hold_out: int) -> pd.DataFrame:
    """Add to the history of a pretraining its losses less that of a network to which all images look alike.

    That is the logarithm of the number of views that a view is compared with: those of the batch to train on, and on
    the hold-out, which has `hold_out` images, those of the judged part. Nothing is added where the history does not
    tell views and batches.
    """
    if "batch" not in history or history["batch"].isna().any():
        return history
    chances = {"loss": _chance(history["views"] * history["batch"]), "validate_loss": _of_hold_out(history, hold_out)}
    shown = {LOSSES[name]: history[name] - chance for name, chance in chances.items() if name in history}
    return history.assign(**shown)


def _chance(views: Any) -> Any:
    """Return the loss where a view is as similar to its positives as to all others of some views."""
    return np.log(np.maximum(views - 1, 1))


def _of_hold_out(history: pd.DataFrame, hold_out: int) -> pd.Series[float]:
    """Return the same for the parts, nearly equal in size, in which a training judges the hold-out."""
    found = {}
    for key in {*zip(history["views"], history["batch"], history["trained_on"], strict=True)}:
        views, batch, trained_on = (int(number) for number in key)
        judged = len(drawn_while_training(np.zeros(hold_out, dtype=np.int64), trained_on, 0))
        parts = np.array_split(np.arange(judged), max(1, math.ceil(judged / batch)))
        found[key] = sum(len(part) * _chance(views * len(part)) for part in parts) / max(judged, 1)
    keys = zip(history["views"], history["batch"], history["trained_on"], strict=True)
    return pd.Series([found[key] for key in keys], index=history.index, dtype=float)
