"""Sweeps: what the values of a grid do to the accuracy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simclr_steps.figures.plots import (
    PANEL,
    as_text,
    as_title,
    draw_reference,
    look,
    panels,
    say_left_out,
    sentence,
    share_legend,
    share_y,
)
from simclr_steps.files import canonical_json
from simclr_steps.settings.runs import Run
from simclr_steps.summary.budgets import budgets, in_order, written
from simclr_steps.summary.headline import SERIES

_LONGEST_LINE = 48  # characters of a line's name
_ORDER = ("linear", "knn", "finetune")  # of the lines


def draw_sweeps(runs: Sequence[Run], table: pd.DataFrame, chances: Mapping[tuple[str, str], float]) -> Figure:
    """Draw accuracy by each key of each grid, mean ± standard deviation: a panel for data set, block and key.

    Takes the tidy rows of summary.csv with their `series`. Accuracies are those of the hold-out. A line is
    logistic regression on SimCLR's features for one number of labels, kNN with all labels, or a fine-tuning of the
    pretrained encoder. If a grid has several keys, the values of the others are averaged. Grids of the same keys over
    the same block are one. Lines to compare with are `chances`, the shares of the most frequent class by data set and
    split, and for each number of labels the best of what comes for free.
    """
    rows = with_grids(runs, table)
    shown = [(of_one, key) for _, of_one in rows.groupby("sweep", sort=False) for key in _keys(of_one)]
    if rows.empty:
        return sentence(
            "Accuracy was not measured in the sweep: it requires labels in the train split and in the hold-out."
        )
    if not shown:
        return sentence("No key of a grid takes more than one value, so there is nothing to compare.")
    figure, drawn = panels(len(shown), *PANEL)
    lines = list(dict.fromkeys(rows.sort_values(["order", "few", "line"])["line"]))
    for (of_one, key), axes in zip(shown, drawn, strict=False):
        _draw(of_one, key, lines, axes)
        _draw_best_for_free(of_one, table, lines, axes)
        if (share := chances.get((of_one["dataset"].iloc[0], of_one["split"].iloc[0]))) is not None:
            draw_reference(axes, 100 * share, "chance")
    for _, of_dataset in groupby(zip(shown, drawn, strict=False), lambda pair: pair[0][0]["dataset"].iloc[0]):
        share_y([axes for _, axes in of_dataset])
    share_legend(figure, drawn)
    say_left_out(figure, len(shown))
    return figure


def with_grids(runs: Sequence[Run], table: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracies, each once for every grid that its run is a point of: its values, the sweep, the line."""
    points = pd.DataFrame(
        [
            (
                *(run.dataset, run.pretrain, run.seed, point.pretrain, point.values),
                *(f"{run.dataset}, {point.pretrain}", list(point.values)),
            )
            for run in runs
            for point in run.grids
        ],
        columns=["dataset", "pretrain", "seed", "block", "values", "title", "keys"],
    )
    points["sweep"] = points["title"] + [canonical_json(keys) for keys in points["keys"]]
    of_simclr = table["input"] == "simclr"
    knn, linear = of_simclr & (table["stage"] == "knn"), of_simclr & (table["stage"] == "linear")
    tuned = table["series"].astype(str).str.startswith("finetune-pretrained")
    chosen = table[(knn | linear | tuned) & (table["metric"] == "accuracy") & (table["split"] == "validation")]
    rows = chosen.merge(points, on=["dataset", "pretrain", "seed"])
    of_budget = {budget: written(rows[budgets(rows) == budget]) for budget in in_order(rows)}
    return rows.assign(
        line=[
            _line(stage, name, of_budget.get(budget, ""))
            for stage, name, budget in zip(rows["stage"], rows["input"], budgets(rows), strict=True)
        ],
        order=rows["stage"].map(_ORDER.index),
        few=rows["labels"].astype("Float64").fillna(float("inf")),
    )


def _line(stage: str, name: str, labels: str) -> str:
    if stage == "knn":
        return "kNN, all labels"
    return f"{labels} labels" if stage == "linear" else f"fine-tuned: {name}, {labels} labels"


def _keys(rows: pd.DataFrame) -> list[str]:
    """Return the keys that take more than one value."""
    return [key for key in rows["keys"].iloc[0] if len(ordered(rows["values"], key)) > 1]


def ordered(combinations: Iterable[Mapping[str, Any]], key: str) -> list[Any]:
    """Return the values of a key in some combinations, numbers by size and others as they come."""
    values = list({canonical_json(values[key]): values[key] for values in combinations}.values())
    return sorted(values) if all(isinstance(value, int | float) for value in values) else values


def _draw(rows: pd.DataFrame, key: str, lines: list[str], axes: Axes) -> None:
    values = ordered(rows["values"], key)
    placed = rows.assign(place=[values.index(chosen[key]) for chosen in rows["values"]])
    for number, name in enumerate(lines):
        line = placed[placed["line"] == name]
        if line.empty:
            continue
        points = 100 * line.groupby("place")["value"].agg(["mean", "std"])
        axes.errorbar(
            points.index,
            points["mean"],
            yerr=points["std"].fillna(0),
            label=as_text(name, _LONGEST_LINE),
            **look(number),
            linestyle="--" if (line["stage"] == "finetune").all() else "-",
            markersize=4,
            capsize=2.5,
        )
    upright = sum(len(str(value)) for value in values) > 30
    axes.set_xticks(range(len(values)), [as_text(str(value)) for value in values], rotation=30 if upright else 0)
    axes.set_xlim(-0.4, len(values) - 0.6)
    axes.set_xlabel(as_text(key))
    axes.set_ylabel("hold-out accuracy in %")
    axes.set_title(as_title(rows["title"].iloc[0]))
    axes.grid(alpha=0.3)


def _draw_best_for_free(rows: pd.DataFrame, table: pd.DataFrame, lines: list[str], axes: Axes) -> None:
    """Draw the best of what comes for free with as many labels as a line has, dotted and in the line's color."""
    accuracies = table[(table["stage"] == "linear") & (table["metric"] == "accuracy") & (table["input"] != "simclr")]
    here = accuracies[accuracies[["dataset", "split"]].eq(rows[["dataset", "split"]].iloc[0]).all(axis=1)]
    here = here[here["pretrain"].isin(rows["pretrain"])]
    linear = rows[rows["stage"] == "linear"]
    for budget, line in dict(zip(budgets(linear), linear["line"], strict=True)).items():
        means = here[budgets(here) == budget].groupby("input")["value"].mean()
        if len(means):
            best, color = str(means.idxmax()), look(lines.index(line))["color"]
            name = as_text(f"{line}, {SERIES.get(best, best)}", _LONGEST_LINE)
            axes.axhline(100 * float(means.max()), color=color, linestyle=":", label=name)
