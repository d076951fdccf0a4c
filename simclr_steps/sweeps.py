"""Sweeps: what the values of a grid do to the accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simclr_steps.plots import COLOURS, as_text, as_title, panels, say_left_out, sentence
from simclr_steps.settings import Run

_MARKERS = "osD^vPX*<>"


def draw_sweeps(runs: Sequence[Run], table: pd.DataFrame) -> Figure:
    """Draw accuracy by each key of a grid, a panel for each data set and key, mean ± standard deviation.

    Takes the tidy rows of summary.csv with their `series`. A line is a number of labels of the linear probe on SimCLR's
    features, or kNN with all labels; where a grid has several keys, the others' values are averaged over.
    """
    rows = _with_grid(runs, table)
    shown = [(title, key) for title, grid in rows.groupby("sweep", sort=False) for key in _keys(grid)]
    if not shown:
        return sentence("No accuracy was measured in the sweep: that takes labels in the data.")
    figure, drawn = panels(len(shown), 4.2, 3.4)
    for (title, key), axes in zip(shown, drawn, strict=False):
        _draw(rows[rows["sweep"] == title], str(title), key, axes)
    names = {label: handle for axes in drawn for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(list(names.values()), list(names), loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    say_left_out(figure, len(shown))
    return figure


def _with_grid(runs: Sequence[Run], table: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracies of the frozen features with their run's values, the name of the sweep and of the line."""
    grids = {(run.dataset, run.pretrain): run.grid for run in runs if run.grid}
    knn = (table["stage"] == "knn") & (table["metric"] == "accuracy")
    accuracies = table[knn | (table["series"] == "simclr")]
    split = "test" if (accuracies["split"] == "test").any() else "validation"
    accuracies = accuracies[accuracies["split"] == split]
    of_run = [grids.get(pair) for pair in zip(accuracies["dataset"], accuracies["pretrain"], strict=True)]
    names = [_sweep_name(*row) for row in zip(accuracies["dataset"], accuracies["pretrain"], of_run, strict=True)]
    lines = [
        "kNN, all labels" if stage == "knn" else f"{labels:,} labels"
        for stage, labels in zip(accuracies["stage"], accuracies["labels"], strict=True)
    ]
    found = accuracies.assign(grid=pd.Series(of_run, accuracies.index), sweep=names, line=lines)
    return found[found["grid"].notna()]


def _sweep_name(dataset: str, pretrain: str, grid: dict[str, Any] | None) -> str:
    """Return the data set and the block's name, without the values after it."""
    return f"{dataset}, {pretrain.partition(f'-{min(grid)}=')[0]}" if grid else ""


def _keys(rows: pd.DataFrame) -> list[str]:
    """Return the keys that take more than one value."""
    keys = dict.fromkeys(key for grid in rows["grid"] for key in grid)
    return [key for key in keys if len({str(grid.get(key)) for grid in rows["grid"]}) > 1]


def _draw(rows: pd.DataFrame, title: str, key: str, axes: Axes) -> None:
    values = list(dict.fromkeys(str(grid.get(key)) for grid in rows["grid"]))
    place = [values.index(str(grid.get(key))) for grid in rows["grid"]]
    order = rows.assign(place=place, few=rows["labels"].astype("Float64").fillna(float("inf")))
    lines = order.groupby(["few", "line"], sort=True)
    for number, ((_, name), line) in enumerate(lines):
        points = 100 * line.groupby("place")["value"].agg(["mean", "std"])
        axes.errorbar(
            points.index,
            points["mean"],
            yerr=points["std"].fillna(0),
            label=name,
            color=COLOURS[number % len(COLOURS)],
            marker=_MARKERS[number % len(_MARKERS)],
            markersize=4,
            capsize=2.5,
        )
    axes.set_xticks(range(len(values)), [as_text(value) for value in values], rotation=30 if len(values) > 5 else 0)
    axes.set_xlim(-0.4, len(values) - 0.6)
    axes.set_xlabel(key)
    axes.set_ylabel(f"{rows['split'].iloc[0]} accuracy in %")
    axes.set_title(as_title(title), fontsize=10)
    axes.grid(alpha=0.3)
