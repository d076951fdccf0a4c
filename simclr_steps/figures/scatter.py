"""Points in the plane as a figure that prints well, with its legend and how far it can be trusted."""

from __future__ import annotations

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle
from matplotlib.transforms import Bbox

from simclr_steps.figures.fonts import use_installed_fonts
from simclr_steps.figures.plots import (
    MARKERS,
    as_text,
    as_title,
    lines_of,
    literal,
    longest_line,
    new_figure,
    panels,
    say_left_out,
)
from simclr_steps.figures.points import DISTINCT, Group, Points

_MOST_DRAWN_AS_VECTORS = 3000  # points
_MOST_NAMED = 25  # classes in the plot itself
_SHIFTS = (0.0, 0.7, -0.7, 1.4, -1.4)  # of a name from its class's place to a free one, in lines
_MOST_BESIDE = 25  # classes in a legend beside the plot; more stand below it
_MOST_IN_LEGEND = 120
_LETTERS_BELOW = 95  # of small type, side by side
_PANEL = 4.2, 3.2  # inches, with the legend
_MOST_BESIDE_A_PANEL, _LETTERS_BESIDE_A_PANEL = 20, 18


def draw(points: Points) -> Figure:
    """Return a scatter plot with the names of classes where these are, or else its legend beside it or below."""
    groups = points.groups()
    if points.labeled and len(groups) <= _MOST_NAMED and (figure := _drawn(points, groups, named=True)):
        return figure
    figure = _drawn(points, groups, named=False)
    assert figure  # noqa: S101 (without names in it, nothing can fail to fit)
    return figure


def _drawn(points: Points, groups: list[Group], *, named: bool) -> Figure | None:
    """Return the plot, with names in it or with a legend; None if the names have no room."""
    legend = points.labeled and not named and len(groups) <= _MOST_IN_LEGEND
    beside = len(groups) <= _MOST_BESIDE
    names = [as_text(group.name) for group in groups]
    lines_below = 0 if beside or not legend else -(-len(groups) // _columns_below(names)) * lines_of(names)
    figure = new_figure(5.4 + 1.1 * (legend and beside), 6.45 + 0.15 * lines_below)
    axes = figure.add_subplot()
    _scatter(axes, points, groups, points.labels())
    axes.set_ylabel("UMAP 2")
    axes.set_title(literal("\n".join(points.title)))
    what = "UMAP 1"
    if named and groups[0].label < 0:
        what += "\nGray points have no label"
    elif points.labeled and not named and not legend:
        what += f"\n{len(groups)} classes are too many for a legend here: the interactive map has one"
    if len(points.classes) > DISTINCT:
        what += f"\nWith more than {DISTINCT} classes, colors and shapes repeat"
    axes.set_xlabel("\n".join([what, *points.quality]))
    if legend:
        _add_legend(figure, groups, beside=beside)
    return None if named and not _add_names(figure, axes, points, groups) else figure


def _add_names(figure: Figure, axes: Axes, points: Points, groups: list[Group]) -> bool:
    """Write the whole name of each class at the median of its points, or just beside it; return whether all have room.

    A name has room where it lies within the plot and on no other name.
    """
    by_label = points.table.assign(group=points.labels()).groupby("group")
    places = {label: (float(some["x"].median()), float(some["y"].median())) for label, some in by_label}
    texts = {
        group.label: axes.annotate(
            literal(group.name),
            places[group.label],
            xytext=(0, 0),
            textcoords="offset fontsize",
            ha="center",
            va="center",
            path_effects=[patheffects.withStroke(linewidth=2.5, foreground="white")],
        )
        for group in groups
        if group.label >= 0
    }
    for text in texts.values():
        text.set_in_layout(False)
    use_installed_fonts(figure)
    figure.draw_without_rendering()
    whole = axes.get_window_extent()
    taken: list[Bbox] = []
    for text in texts.values():
        for shift in _SHIFTS:
            text.xyann = (0, shift)
            box = text.get_window_extent()
            aside = max(whole.x0 - box.x0, 0) + min(whole.x1 - box.x1, 0)  # at the edge, a name moves in
            text.xyann = (aside / (float(text.get_fontsize()) * figure.dpi / 72), shift)
            box = text.get_window_extent()
            inside = box.width < whole.width and whole.y0 <= box.y0 and box.y1 <= whole.y1
            if inside and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
        else:
            return False
    return True


def draw_columns(points: Points) -> Figure:
    """Return the same points colored by each column, in a panel of its own with its legend, below their split."""
    figure, drawn = panels(len(points.columns), *_PANEL)
    figure.suptitle(as_title(points.title[0]), fontsize=9)
    for axes, one in zip(drawn, points.columns, strict=False):
        groups = one.groups()
        _scatter(axes, points, groups, one.codes)
        axes.set_title(as_title(one.name))
        if len(groups) <= _MOST_BESIDE_A_PANEL:
            names = [as_text(group.name, _LETTERS_BESIDE_A_PANEL) for group in groups]
            look = {"fontsize": 7, "frameon": False, "handletextpad": 0.2}
            axes.legend(_marks(groups), names, loc="center left", bbox_to_anchor=(1, 0.5), **look)
        else:
            axes.set_xlabel(f"{len(groups)} values: the interactive map names them")
    say_left_out(figure, len(points.columns))
    return figure


def _scatter(axes: Axes, points: Points, groups: list[Group], codes: list[int]) -> None:
    look = {group.label: group for group in groups}
    of_points = [look[code] for code in codes]
    has_shapes = any(group.shape for group in groups)
    least = 6 if has_shapes else 2  # smaller shapes look alike
    drawn = axes.scatter(
        points.table["x"],
        points.table["y"],
        s=float(np.clip(9000 / len(points.table), least, 24)),
        color=[group.color for group in of_points],
        alpha=0.8,
        linewidths=0,
        rasterized=len(points.table) > _MOST_DRAWN_AS_VECTORS,
    )
    if has_shapes:
        styles = [MarkerStyle(marker) for marker in MARKERS]
        outlines = [style.get_path().transformed(style.get_transform()) for style in styles]
        drawn.set_paths([outlines[group.shape] for group in of_points])
    axes.set_box_aspect(1)
    axes.set_xticks([])
    axes.set_yticks([])


def _marks(groups: list[Group]) -> list[Line2D]:
    """Return what stands before the names in a legend."""
    return [
        Line2D([], [], marker=MARKERS[group.shape], linestyle="", color=group.color, markersize=5) for group in groups
    ]


def _columns_below(names: list[str]) -> int:
    """Return how many columns of names fit below the plot."""
    return max(2, min(5, _LETTERS_BELOW // (longest_line(names) + 5)))


def _add_legend(figure: Figure, groups: list[Group], *, beside: bool) -> None:
    names = [as_text(group.name) for group in groups]
    figure.legend(
        _marks(groups),
        names,
        loc="outside right center" if beside else "outside lower center",
        ncols=1 if beside else _columns_below(names),
        fontsize=9 if beside else 7,
        frameon=False,
        handletextpad=0.2,
        columnspacing=0.8,
        labelspacing=0.4,
    )
