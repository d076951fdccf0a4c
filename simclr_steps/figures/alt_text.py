"""What a figure shows, in words with its numbers, for readers who do not see it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from simclr_steps.figures.plots import named_marks

_MOST_PANELS = 4  # that are told in full: a longer text is harder to follow than the tables


def alt_text(figure: Figure) -> str:
    """Return a sentence for each panel: the first and the last value of each line, or what its cells or tiles say."""
    told = [" ".join(sentence.split()) for axes in figure.axes if (sentence := _panel(axes))]
    if (left := len(told) - _MOST_PANELS) > 0:
        told[_MOST_PANELS:] = [f"{left} more panel{'s' * (left != 1)}."]
    return " ".join(told).replace(r"\$", "$")  # as matplotlib writes a dollar sign


def _panel(axes: Axes) -> str:
    """Return what one panel says, nothing where it has only an axis that belongs to another panel's lines."""
    values = "; ".join([*_lines(axes), *_cells(axes)])
    by = f"{axes.get_ylabel()} by {axes.get_xlabel()}" if axes.get_xlabel() and axes.get_ylabel() else axes.get_ylabel()
    title = ": ".join(filter(None, [axes.get_title().replace("\n", ", "), by]))
    return f"{title}: {values}." if values else ""


def _lines(axes: Axes) -> Iterator[str]:
    for label, handle in named_marks(axes):
        line: Any = handle[0] if isinstance(handle, ErrorbarContainer) else handle
        heights = np.asarray(line.get_ydata(), dtype=np.float64)
        heights = heights[np.isfinite(heights)]
        if len(heights):
            ends = dict.fromkeys(f"{value:.3g}" for value in heights[[0, -1]])
            yield f"{label} {' to '.join(ends)}"


def _cells(axes: Axes) -> Iterator[str]:
    """Yield what stands in the diagonal of a matrix, or below each image."""
    for image in axes.get_images():
        values = np.asarray(image.get_array())
        if values.ndim == 2 and values.shape[0] == values.shape[1]:
            names = [label.get_text() for label in axes.get_yticklabels()]
            diagonal = [f"{value:.0f}" for value in np.diag(values)]
            if len(names) == len(diagonal):
                diagonal = [f"{name} {value}" for name, value in zip(names, diagonal, strict=True)]
            yield f"in the diagonal, {', '.join(diagonal)}"
            return
    if axes.get_images():
        yield from (text.get_text() for text in axes.texts)
