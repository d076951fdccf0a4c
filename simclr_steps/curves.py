"""The curves of a summary: accuracy by number of labels, and the course of the pretrainings."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from simclr_steps.headline import SERIES, Headline
from simclr_steps.plots import COLOURS, as_text, as_title, panels, say_left_out, sentence

_MARKERS = "osD^vPX"
_MOST_TICKS = 8

Histories = dict[str, dict[int, pd.DataFrame]]  # by data set and pretraining, by seed


def label_efficiency(headlines: Sequence[Headline]) -> Figure:
    """Draw accuracy against the number of labels, mean ± standard deviation, a panel for each headline."""
    shown = [one for one in headlines if len(one.accuracy)]
    if not shown:
        return sentence("No accuracy was measured: that takes labels in the data.")
    figure, drawn = panels(len(shown), 4.2, 3.4)
    names: dict[str, str] = {}
    for one, axes in zip(shown, drawn, strict=False):
        for name in one.names():
            line = one.accuracy[one.accuracy["name"] == name].sort_values("labels")
            names[name] = str(line["series"].iloc[0])
        _draw_accuracy(one, axes, {name: _style(names, name) for name in one.names()})
    _share_legend(figure, drawn)
    say_left_out(figure, len(shown))
    return figure


def _style(names: dict[str, str], name: str) -> dict[str, str]:
    """Return colour and marker of a series; blocks of one kind share the colour, and differ in the marker."""
    series = names[name]
    alike = [other for other, kind in names.items() if kind == series]
    kind = list(SERIES).index(series)
    return {"color": COLOURS[kind], "marker": _MARKERS[(kind + alike.index(name)) % len(_MARKERS)]}


def _draw_accuracy(one: Headline, axes: Axes, styles: dict[str, dict[str, str]]) -> None:
    for name, style in styles.items():
        line = one.accuracy[one.accuracy["name"] == name].sort_values("labels")
        sd = 100 * line["sd"].fillna(0)
        labels = line["labels"].to_numpy(dtype=float)
        axes.errorbar(labels, 100 * line["mean"], yerr=sd, label=as_text(name), capsize=2.5, markersize=4, **style)  # type: ignore[arg-type]
    axes.set_xscale("log")
    counts = sorted(one.accuracy["labels"].unique())
    if len(counts) <= _MOST_TICKS:
        axes.xaxis.set_major_locator(FixedLocator(counts))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticklabels([f"{count:,}" for count in counts])
    if len(counts) == 1:
        axes.set_xlim(counts[0] / 2, counts[0] * 2)
    axes.set_xlabel("labels")
    axes.set_ylabel(f"{one.split} accuracy in %")
    axes.set_title(as_title(one.title), fontsize=10)
    axes.grid(alpha=0.3)


def history(histories: Histories) -> Figure:
    """Draw loss, hold-out loss, hold-out kNN and learning rate by epoch.

    Each seed is a line, each pretraining a panel.
    """
    figure, drawn = panels(len(histories), 4.2, 4.4, stacked=True)
    for (title, seeds), upper, lower in zip(histories.items(), drawn[::2], drawn[1::2], strict=False):
        for number, table in enumerate(seeds.values()):
            marker = "o" if len(table) == 1 else ""
            for column, name, colour in (("loss", "loss", COLOURS[0]), ("validate_loss", "hold-out loss", COLOURS[2])):
                if column in table and table[column].notna().any():
                    label = name if number == 0 else None
                    upper.plot(table["epoch"], table[column], color=colour, marker=marker, alpha=0.8, label=label)
            lower.plot(table["epoch"], table["learning_rate"], color=COLOURS[8], marker=marker)
        upper.set_title(as_title(title), fontsize=10)
        upper.set_ylabel("NT-Xent loss")
        _draw_knn(list(seeds.values()), upper)
        upper.tick_params(labelbottom=False)
        lower.set_ylabel("learning rate")
        lower.set_xlabel("epoch")
        lower.xaxis.set_major_locator(MaxNLocator(integer=True))
        lower.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    _share_legend(figure, drawn)
    say_left_out(figure, len(histories))
    return figure


def _share_legend(figure: Figure, drawn: Sequence[Axes]) -> None:
    """Name every series once, below all panels."""
    handles = {label: handle for axes in drawn for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=3, frameon=False, fontsize=9)


def _draw_knn(tables: Sequence[pd.DataFrame], losses: Axes) -> None:
    """Draw the hold-out's kNN accuracy, where it was measured, on an axis of its own to the right of the losses."""
    column, colour = "validate_knn_accuracy", COLOURS[4]
    measured = [table.dropna(subset=column) for table in tables if column in table and table[column].notna().any()]
    if not measured:
        return
    axes = losses.twinx()
    for table in measured:
        axes.plot(table["epoch"], 100 * table[column], color=colour, marker="o", markersize=3, alpha=0.8)
    losses.plot([], [], color=colour, marker="o", markersize=3, label="hold-out kNN")
    axes.set_ylabel("kNN accuracy in %")
