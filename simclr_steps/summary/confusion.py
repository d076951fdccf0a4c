"""Confusion matrices: which classes a fine-tuned classifier takes for which."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simclr_steps.data.row_tables import probability_columns
from simclr_steps.figures.plots import as_text, as_title, draw_each, lines_of, longest_line

_MOST_WITH_NUMBERS = 12  # classes
_MOST_UNDER_BLACK = 72  # % whose blue leaves black letters a contrast of 4.5
_MOST_LINES, _MOST_LONG_LINES = 25, 16  # of all names at a side, also of long ones, beside which the matrix is small
_NAME_WIDTH = 24  # characters of a line
_LONGEST_TWICE = 12  # characters of names that stand at both sides


def confusion(predictions: pd.DataFrame) -> pd.DataFrame:
    """Count labeled rows by class (rows of the result) and predicted class (columns), in the order of the labels.

    Takes what gather writes for a classifier: label, prediction and a probability_<class> for each class.
    """
    classes = list(probability_columns(predictions))
    labeled = predictions.dropna(subset="label")
    counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(counts, (labeled["label"].to_numpy(dtype=np.int64), labeled["prediction"].to_numpy(dtype=np.int64)), 1)
    return pd.DataFrame(counts, index=classes, columns=classes)


def draw_confusions(confusions: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw each matrix in a panel below its title, each row in % of the images of its class."""
    shown = {title: counts for title, counts in confusions.items() if counts.to_numpy().any()}
    return draw_each(shown, _draw, 3.5, nothing="No confusion matrix: it requires labels in the predicted split.")


def _draw(title: str, counts: pd.DataFrame, axes: Axes) -> None:
    total = counts.to_numpy().sum(axis=1, keepdims=True)
    percent = 100 * counts.to_numpy() / np.maximum(total, 1)
    image = axes.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    if len(counts) <= _MOST_WITH_NUMBERS:
        for (row, column), value in np.ndenumerate(percent):
            color = "white" if value > _MOST_UNDER_BLACK else "black"
            if value:
                axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=7, color=color)
    else:
        axes.figure.colorbar(image, ax=axes, shrink=0.8, label="% of the class")
    whole = [as_text(name, _NAME_WIDTH) for name in counts.index]
    is_small = longest_line(whole) > _LONGEST_TWICE and len(counts) > _MOST_WITH_NUMBERS
    step = -(-len(counts) * lines_of(whole) // (_MOST_LONG_LINES if is_small else _MOST_LINES))
    names, ticks = whole[::step], range(0, len(counts), step)
    size = 8 if len(names) * lines_of(names) <= _MOST_WITH_NUMBERS else 5
    if longest_line(whole) > _LONGEST_TWICE:  # the names stand on the left only, with the numbers that stand below
        numbers = [str(tick + 1) for tick in ticks]
        axes.set_xticks(ticks, numbers, fontsize=size)
        axes.set_yticks(ticks, [f"{name}  {n}" for name, n in zip(names, numbers, strict=True)], fontsize=size)
    else:
        axes.set_xticks(ticks, names, fontsize=size, rotation=90 if longest_line(names) > 2 else 0)
        axes.set_yticks(ticks, names, fontsize=size)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("class")
    axes.set_title(as_title(title))
