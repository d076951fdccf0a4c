"""Figures that print well: colors that color-blind readers tell apart, PNG and SVG from one drawing."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from simclr_steps.figures.fonts import use_installed_fonts
from simclr_steps.files import whole_file

T = TypeVar("T")

_NOT_IN_XML = re.compile(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# Ten colors that stand out from white at a ratio of 3 even where points let it through, and from each other for every
# reader: after M. A. Petroff, "Accessible Color Sequences for Data Visualization", 2021, arXiv:2107.02270, but darker.
COLORS = (
    "#205e95",
    "#c66200",
    "#860000",
    "#415051",
    "#822cb5",
    "#8e5345",
    "#ac3000",
    "#8b783b",
    "#3e3427",
    "#05899d",
)
GRAYS = ("#1f1f1f", "#6f6f6f", "#474747", "#868686")  # neighbors differ in lightness, at a ratio of 3 to white at least
NO_LABEL_COLOR = "#767676"
# Ten steps of the darker half of matplotlib's plasma, for ranges of numbers.
RAMP = (
    "#0d0887",
    "#2e0595",
    "#46039f",
    "#5c01a6",
    "#7201a8",
    "#8808a6",
    "#9c179e",
    "#ad2793",
    "#bd3786",
    "#cc4778",
)
MARKERS = "osD^vPX*<>"
LINES = ("-", "--", "-.", ":")
_REFERENCE = {"color": "#555555", "linestyle": (0, (1, 1)), "linewidth": 1.2, "zorder": 1}
PANEL = 3.5, 3.0  # inches: two panels side by side are as wide as a page's text, and their letters as high
MOST_PANELS = 12
_COLUMNS = 2
_NAME_WIDTH = 28  # characters of a line, in a legend
_TITLE_WIDTH = 44  # characters
_MARGIN = 0.1  # inches around all that is drawn
_DOTS_PER_INCH = 200
_LETTERS_PER_INCH = 13
_LEGEND_LINE = 0.17  # inches

mpl.rcdefaults()  # whatever a matplotlibrc of the user says
mpl.rcParams.update({"font.size": 9, "axes.titlesize": 9})  # points


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches that makes room for what is put outside its axes."""
    return Figure(figsize=(width, height), layout="constrained")


def as_text(name: str, width: int = _NAME_WIDTH) -> str:
    """Return a user's name as matplotlib shows it letter by letter, whole, in lines of up to `width` characters."""
    return literal(name if len(name) <= width else "\n".join(textwrap.wrap(name, width)))


def longest_line(names: Iterable[str]) -> int:
    """Return the number of characters in the longest line of names."""
    return max((len(line) for name in names for line in name.split("\n")), default=0)


def lines_of(names: Iterable[str]) -> int:
    """Return how many lines the name has that has most."""
    return max((name.count("\n") + 1 for name in names), default=0)


def as_title(text: str) -> str:
    """Return a user's text as a title, letter by letter, in lines where it is long."""
    return literal("\n".join(textwrap.wrap(text, _TITLE_WIDTH)))


def literal(text: str) -> str:
    """Return a user's text as matplotlib shows it letter by letter, with a sign for each that an SVG cannot hold."""
    return _NOT_IN_XML.sub("�", text).replace("$", r"\$")


def panels(wanted: int, width: float, height: float, *, stacked: bool = False) -> tuple[Figure, list[Axes]]:
    """Return a figure and its axes row by row; stacked panels have two, a high one above a low one of the same x."""
    count = min(wanted, MOST_PANELS)
    columns = min(count, _COLUMNS)
    rows = -(-count // columns)
    figure = new_figure(width * columns, height * rows + 0.4)
    axes: list[Axes] = []
    grid = figure.add_gridspec(rows, columns)
    for number in range(count):
        place = grid[divmod(number, columns)]
        if stacked:
            inner = place.subgridspec(2, 1, height_ratios=(3, 1))
            upper = figure.add_subplot(inner[0])
            axes += [upper, figure.add_subplot(inner[1], sharex=upper)]
        else:
            axes.append(figure.add_subplot(place))
    return figure, axes


def draw_each(shown: Mapping[str, T], draw: Callable[[str, T, Axes], None], height: float, *, nothing: str) -> Figure:
    """Draw each in a panel of its own, under its title; without any, `nothing` is the sentence that says why."""
    if not shown:
        return sentence(nothing)
    figure, drawn = panels(len(shown), PANEL[0], height)
    for (title, one), axes in zip(shown.items(), drawn, strict=False):
        draw(title, one, axes)
    say_left_out(figure, len(shown))
    return figure


def look(number: int) -> dict[str, Any]:
    """Return color and marker of a line that no other of the first hundred has: ten of each color differ in markers."""
    again, color = divmod(number, len(COLORS))
    return {"color": COLORS[color], "marker": MARKERS[(color + again) % len(MARKERS)]}


def draw_reference(axes: Axes, height: float, name: str) -> None:
    """Draw a line to compare others with, such as chance."""
    axes.axhline(height, label=name, **_REFERENCE)  # type: ignore[arg-type]


def named_marks(axes: Axes) -> list[tuple[str, Any]]:
    """Return what has a name in a panel, lines to compare others with last."""
    named = zip(*reversed(axes.get_legend_handles_labels()), strict=True)
    return sorted(named, key=lambda one: isinstance(one[1], Line2D) and one[1].get_zorder() == _REFERENCE["zorder"])


def share_y(drawn: Sequence[Axes]) -> None:
    """Give panels that are to be compared the same range upwards."""
    limits = [axes.get_ylim() for axes in drawn]
    for axes in drawn:
        axes.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))


def share_legend(figure: Figure, drawn: Sequence[Axes]) -> None:
    """Name every series once, below all panels, and make the figure higher by that."""
    handles = {label: handle for axes in drawn for label, handle in named_marks(axes)}
    letters = _LETTERS_PER_INCH * figure.get_figwidth()
    columns = int(max(1, min(3, letters // (longest_line(handles) + 6))))
    rows = -(-len(handles) // columns)
    in_columns = [list(handles)[start : start + rows] for start in range(0, len(handles), rows or 1)]
    lines = max((sum(lines_of([name]) for name in column) for column in in_columns), default=0)
    figure.set_figheight(figure.get_figheight() + _LEGEND_LINE * lines)
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=columns, frameon=False)


def say_left_out(figure: Figure, wanted: int) -> None:
    """Say above the panels how many more were wanted."""
    if wanted > MOST_PANELS:
        say_above(figure, f"The first {MOST_PANELS} of {wanted} panels; the rest of the data is in the results")


def say_above(figure: Figure, text: str) -> None:
    """Say above the panels, below what is said there already, what is to be known of them all."""
    figure.suptitle("\n".join(filter(None, [figure.get_suptitle(), text])), fontsize=9)


def sentence(text: str) -> Figure:
    """Return a figure that says why there is nothing to see."""
    figure = new_figure(6, 1)
    figure.text(0.5, 0.5, textwrap.fill(text, 80), ha="center", va="center")
    return figure


def save(figure: Figure, stem: Path, kinds: Sequence[str] = ("png", "svg")) -> None:
    """Write `stem`.png and `stem`.svg or one of them, each whole or not at all and the same for the same drawing.

    The text of an SVG is text. Fonts that a reader has instead of the plots' own are narrower, as theirs is very wide.
    """
    use_installed_fonts(figure)
    figure.set_dpi(_DOTS_PER_INCH)
    figure.draw_without_rendering()  # arranges it, which takes longer than to write it: once for both files
    figure.set_layout_engine(None)
    box = figure.get_tightbbox().padded(_MARGIN)
    for kind in kinds:
        metadata = {"Software": None} if kind == "png" else {"Date": None}
        path = stem.with_name(f"{stem.name}.{kind}")
        with whole_file(path) as partial, mpl.rc_context({"svg.hashsalt": "simclr", "svg.fonttype": "none"}):
            figure.savefig(partial, format=kind, dpi=_DOTS_PER_INCH, bbox_inches=box, metadata=metadata)
