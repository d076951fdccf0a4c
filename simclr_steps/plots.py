"""Figures that print well: colours that colour-blind readers tell apart, PNG and SVG from one drawing."""

from __future__ import annotations

import textwrap
from pathlib import Path

import matplotlib as mpl
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from simclr_steps.files import whole_file

# M. A. Petroff, "Accessible Color Sequences for Data Visualization", 2021, arXiv:2107.02270: ten colours.
COLOURS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
_LONGEST_NAME = 28  # characters
_TITLE_WIDTH = 44  # characters
_DOTS_PER_INCH = 200


def colours(count: int) -> list[str]:
    """Return `count` colours; more than ten come from a colour map, and neighbours in it look alike."""
    if count <= len(COLOURS):
        return list(COLOURS[:count])
    return [to_hex(mpl.colormaps["turbo"](0.02 + 0.96 * number / (count - 1))) for number in range(count)]


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches that makes room for what is put outside its axes."""
    return Figure(figsize=(width, height), layout="constrained")


def as_text(name: str) -> str:
    """Return a user's name as matplotlib shows it letter by letter, cut where it is too long for a legend."""
    short = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
    return short.replace("$", r"\$")


def as_title(text: str) -> str:
    """Return a user's text as a title, letter by letter, in lines where it is long."""
    return "\n".join(textwrap.wrap(text, _TITLE_WIDTH)).replace("$", r"\$")


def save(figure: Figure, stem: Path) -> None:
    """Write `stem`.png and `stem`.svg, each whole or not at all and the same for the same drawing."""
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        path = stem.with_name(f"{stem.name}.{kind}")
        with whole_file(path) as partial, mpl.rc_context({"svg.hashsalt": "simclr"}):
            figure.savefig(partial, format=kind, dpi=_DOTS_PER_INCH, bbox_inches="tight", metadata=metadata)
