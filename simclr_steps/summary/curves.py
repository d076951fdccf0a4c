"""The curves of a summary: accuracy by number of labels, and the course of pretrainings and fine-tunings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from simclr_steps.figures.plots import (
    COLORS,
    GRAYS,
    LINES,
    MARKERS,
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
from simclr_steps.summary.headline import SERIES, Headline
from simclr_steps.summary.losses import LOSSES
from simclr_steps.summary.tables import SPLIT_NAMES

_LEAST_TICK_DISTANCE = 0.13  # of the whole axis
_DODGE = 0.012  # of the axis, between points of the same number of labels
_KNN = "validate_knn_accuracy"
_MONITORS = {
    _KNN: "hold-out kNN accuracy in %",
    "validate_rankme": "effective rank (RankMe)",
    "validate_alignment": "alignment (lower is better)",
    "validate_uniformity": "uniformity (lower is better)",
}

_OURS = ("simclr", "finetune-pretrained", "finetune-pretrained-frozen")  # of SERIES: what SimCLR gives

Histories = dict[str, dict[int, pd.DataFrame]]  # by data set and pretraining, by seed


def label_efficiency(headlines: Sequence[Headline], chances: Mapping[tuple[str, str], float]) -> Figure:
    """Draw accuracy against the number of labels, mean ± standard deviation, a panel for each headline.

    `chances` are the shares of the most frequent class by data set and split.
    """
    shown = [one for one in headlines if len(one.accuracy)]
    if not shown:
        return sentence("Accuracy was not measured: it requires labels in the data.")
    figure, drawn = panels(len(shown), *PANEL)
    names: dict[str, str] = {}
    for one, axes in zip(shown, drawn, strict=False):
        for name in one.names():
            line = one.accuracy[one.accuracy["name"] == name].sort_values("labels")
            names[name] = str(line["series"].iloc[0])
        _draw_accuracy(one, axes, {name: _style(names, name) for name in one.names()})
        _draw_chance(axes, chances.get((one.dataset, one.split)))
    for dataset in {one.dataset for one in shown}:
        share_y([axes for one, axes in zip(shown, drawn, strict=False) if one.dataset == dataset])
    share_legend(figure, drawn)
    say_left_out(figure, len(shown))
    return figure


def _style(names: dict[str, str], name: str) -> dict[str, str]:
    """Return how a series looks: what SimCLR gives has its color, what it is compared with a gray.

    Kinds of one color differ in their markers; blocks of one kind in the line, too.
    """
    series = names[name]
    alike = [other for other, kind in names.items() if kind == series]
    kind, number = list(SERIES).index(series), alike.index(name)
    marker = MARKERS[(kind + number) % len(MARKERS)]
    color = COLORS[0] if series in _OURS else GRAYS[kind % len(GRAYS)]
    return {"color": color, "marker": marker, "linestyle": LINES[number % len(LINES)]}


def _draw_accuracy(one: Headline, axes: Axes, styles: dict[str, dict[str, str]]) -> None:
    counts = [int(count) for count in sorted(one.accuracy["labels"].unique())]
    limits = (counts[0], counts[-1]) if len(counts) > 1 else (counts[0] / 2, counts[0] * 2)
    for (name, style), factor in zip(styles.items(), side_by_side(len(styles), *limits), strict=True):
        line = one.accuracy[one.accuracy["name"] == name].sort_values("labels")
        sd = 100 * line["sd"].fillna(0)
        labels = factor * line["labels"].to_numpy(dtype=float)
        axes.errorbar(labels, 100 * line["mean"], yerr=sd, label=as_text(name), capsize=2.5, markersize=4, **style)  # type: ignore[arg-type]
    axes.set_xscale("log")
    ticks = spread(counts)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{count:,}" for count in ticks])
    if len(counts) == 1:
        axes.set_xlim(*limits)
    axes.set_xlabel("labels")
    axes.set_ylabel(f"{SPLIT_NAMES[one.split]} accuracy in %")
    axes.set_title(as_title(one.title))
    axes.grid(alpha=0.3)


def _draw_chance(axes: Axes, share: float | None) -> None:
    """Draw what always predicting the most frequent class gives, where that is known."""
    if share is not None:
        draw_reference(axes, 100 * share, "chance")


def side_by_side(series: int, low: float, high: float) -> list[float]:
    """Return what to multiply each series by, so that none hides another on a logarithmic axis from low to high."""
    step = _DODGE * math.log(high / low)
    return [math.exp(step * (number - (series - 1) / 2)) for number in range(series)]


def spread(counts: Sequence[int]) -> list[int]:
    """Return the counts, in rising order, that lie so far apart on a logarithmic axis that their names can be read."""
    if not counts:
        return []
    least = _LEAST_TICK_DISTANCE * math.log(counts[-1] / counts[0])
    kept = [counts[0]]
    for count in counts[1:-1]:
        if math.log(count / kept[-1]) >= least and math.log(counts[-1] / count) >= least:
            kept.append(count)
    return kept if len(counts) == 1 else [*kept, counts[-1]]


def history(histories: Histories) -> Figure:
    """Draw the losses of training images and hold-out, less that of chance where it is known, and the learning rate.

    Each seed is a line by epoch, each pretraining a panel, with a dotted line where it continues another.
    """
    figure, drawn = panels(len(histories), PANEL[0], 4.0, stacked=True)
    for (title, seeds), upper, lower in zip(histories.items(), drawn[::2], drawn[1::2], strict=False):
        beside_chance = all(LOSSES["loss"] in table for table in seeds.values())
        shown = [column if beside_chance else loss for loss, column in LOSSES.items()]
        for number, table in enumerate(seeds.values()):
            for column, name, color in zip(shown, ("loss", "hold-out loss"), (COLORS[0], COLORS[2]), strict=True):
                if column in table and table[column].notna().any():
                    line, label = table.dropna(subset=column), name if number == 0 else None
                    style: dict[str, Any] = {"color": color, "marker": _marker(line), "alpha": 0.8}
                    upper.plot(line["epoch"], line[column], label=label, **style)
            rates = table.dropna(subset="learning_rate")
            lower.plot(rates["epoch"], rates["learning_rate"], color=COLORS[8], marker=_marker(rates))
        table = next(iter(seeds.values()))
        for epoch in table.loc[table["epoch"].diff() == 0, "epoch"]:  # the end of one, and the start of the next
            for axes in (upper, lower):
                axes.axvline(epoch, color="0.5", linestyle=":", linewidth=1)
        upper.set_title(as_title(title))
        upper.set_ylabel("NT-Xent loss less that of chance" if beside_chance else "NT-Xent loss")
        if beside_chance:
            draw_reference(upper, 0, "chance")
        upper.tick_params(labelbottom=False)
        lower.set_ylabel("learning rate")
        lower.set_xlabel("epoch")
        lower.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        lower.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    if all(LOSSES["loss"] in table for seeds in histories.values() for table in seeds.values()):
        share_y(drawn[::2])
    share_legend(figure, drawn)
    say_left_out(figure, len(histories))
    return figure


def _marker(line: pd.DataFrame) -> str:
    """Return a marker for a line of one epoch, which would not be seen without."""
    return "o" if len(line) == 1 else ""


def monitors(histories: Histories, chances: Mapping[str, float]) -> Figure:
    """Draw what was measured of the hold-out's features by epoch, mean over the seeds: a panel for each measure.

    Each pretraining is a line. None of the measures but kNN takes labels; `chances` are the shares of the hold-out's
    most frequent class by data set and pretraining.
    """
    tables = {title: pd.concat(seeds.values()) for title, seeds in histories.items()}
    shown = {
        column: {title: table for title, table in tables.items() if column in table and table[column].notna().any()}
        for column in _MONITORS
    }
    shown = {column: by_title for column, by_title in shown.items() if by_title}
    if not shown:
        return sentence("The hold-out's features were not monitored: there is no hold-out, or monitor_epochs is 0.")
    figure, drawn = panels(len(shown), *PANEL)
    for (column, by_title), axes in zip(shown.items(), drawn, strict=True):
        for number, title in enumerate(tables):
            if title in by_title:
                line = by_title[title].dropna(subset=column).groupby("epoch")[column].mean()
                in_percent = 100 if column == _KNN else 1
                axes.plot(line.index, in_percent * line, label=as_text(title, 60), markersize=4, **look(number))
        for share in sorted({chances[title] for title in by_title if title in chances}) if column == _KNN else ():
            _draw_chance(axes, share)
        axes.set_title(_MONITORS[column])
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
    share_legend(figure, drawn)
    return figure


def finetune_history(histories: Mapping[str, Sequence[pd.DataFrame]], chances: Mapping[str, float]) -> Figure:
    """Draw the accuracy on the images trained on and on the hold-out by epoch, a panel for each fine-tuning.

    Each draw of each seed is a line, with a dot at each measured epoch where some were not measured. `chances` are the
    shares of the hold-out's most frequent class by the same titles.
    """
    figure, drawn = panels(len(histories), *PANEL)
    for (title, tables), axes in zip(histories.items(), drawn, strict=False):
        lines = [line for table in tables for _, line in table.groupby("draw")]
        for column, name, color in (
            ("accuracy", "training images", COLORS[0]),
            ("validate_accuracy", "hold-out", COLORS[2]),
        ):
            for number, line in enumerate(line for line in lines if column in line):
                measured = line.dropna(subset=column)
                marker = "" if 1 < len(measured) == len(line) else "o"
                axes.plot(
                    measured["epoch"],
                    100 * measured[column],
                    color=color,
                    marker=marker,
                    markersize=3,
                    alpha=0.8,
                    label=None if number else name,
                )
        _draw_chance(axes, chances.get(title))
        axes.set_title(as_title(title))
        axes.set_xlabel("epoch")
        axes.set_ylabel("accuracy in %")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
    share_y(drawn)
    share_legend(figure, drawn)
    say_left_out(figure, len(histories))
    return figure
