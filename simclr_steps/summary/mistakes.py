"""A classifier's most confident mistakes: often images that are mislabeled or hard to recognize."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simclr_steps.data.packed import Pixels
from simclr_steps.data.row_tables import probability_columns
from simclr_steps.data.splits import Rows
from simclr_steps.figures.contrast import BRIGHTENED, Contrast
from simclr_steps.figures.file_links import link_to
from simclr_steps.figures.mosaic import LARGEST_TILE, Names, name_below, place
from simclr_steps.figures.plots import PANEL, as_title, draw_each
from simclr_steps.figures.thumbnails import thumbnails
from simclr_steps.settings.display import Mix

MOST = 12  # mistakes of a classifier
_TEMPLATE = Path(__file__).with_suffix(".html.j2")
_COLUMNS = 6
_PITCH = 1.15  # of tiles of side 1
_TILE = PANEL[0] / (_COLUMNS * _PITCH)  # inches
_TITLE = 0.45  # inches


@dataclass(frozen=True)
class Mistakes:
    """What a classifier got wrong, the surest first."""

    images: Pixels  # [M, H, W, C], as they are shown
    names: list[str]  # lines: the class, what it was taken for, and how surely
    count: int  # of all wrong predictions
    labeled: int  # images
    mix: Mix | None  # the colors of the channels that are shown
    notes: list[str]  # how images are shown
    sources: list[str]  # the images' paths in the data set, where they have any


def surest_mistakes(
    predictions: pd.DataFrame,
    rows: Rows,
    images: Pixels,
    mix: Mix | None = None,
    channels: str = "",
    contrast: Contrast | None = None,
) -> Mistakes:
    """Choose the first MOST mistakes.

    Takes what gather writes for a classifier, the predictions and the rows of all mistakes, the surest first; the
    images of its split, [N, H, W, C], which of their channels are shown, also in words, and how the images are
    brightened.
    """
    shown = predictions.set_index("row", drop=False).loc[rows[:MOST]]
    sure = shown[list(probability_columns(shown).values())].max(axis=1)
    names = [
        f"{label}\n→ {guess}\n{100 * chance:.0f} %"
        for label, guess, chance in zip(shown["class"], shown["predicted_class"], sure, strict=True)
    ]
    chosen = np.asarray(images[shown["row"].to_numpy(dtype=np.int64)])
    notes = [*([channels] if channels else []), *([BRIGHTENED] if contrast else [])]
    pictures = contrast.stretched(chosen) if contrast else chosen
    sources = ["" if pd.isna(source) else str(source) for source in shown.get("source", [""] * len(shown))]
    labeled = int(predictions["label"].notna().sum())
    return Mistakes(pictures, names, len(rows), labeled, mix, notes, sources)


def as_list(mistakes: Mapping[str, Mistakes], originals: Mapping[str, Path | None], folder: Path) -> Markup:
    """Return the mistakes of each classifier as a list for a page in `folder`, with links to the images' own files.

    `originals` are the folders that the files are below, by the same titles. Nothing where no image has a path.
    """
    lists = {
        title: [
            (
                source,
                link_to(below / source, folder) if (below := originals.get(title)) else None,
                " ".join(name.split()),
            )
            for source, name in zip(one.sources, one.names, strict=True)
            if source
        ]
        for title, one in mistakes.items()
    }
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    return Markup(template.render(lists={title: rows for title, rows in lists.items() if rows}))  # noqa: S704 - escaped


def draw_mistakes(mistakes: Mapping[str, Mistakes]) -> Figure:
    """Draw the mistakes of each classifier in a panel below its title: image, class, what it was taken for."""
    shown = {title: one for title, one in mistakes.items() if one.labeled}
    names = Names.of(name for one in shown.values() for name in one.names)
    height, draw = _TITLE + -(-MOST // _COLUMNS) * (_PITCH + names.room) * _TILE, partial(_draw, names)
    return draw_each(shown, draw, height, nothing="No mistakes to show: this requires labels in the predicted split.")


def _draw(names: Names, title: str, one: Mistakes, axes: Axes) -> None:
    axes.set_axis_off()
    axes.set_xlim(-0.1, _COLUMNS * _PITCH)
    axes.set_ylim(-(-MOST // _COLUMNS) * (_PITCH + names.room), -0.1)
    for number, (image, name) in enumerate(zip(thumbnails(one.images, LARGEST_TILE, one.mix), one.names, strict=True)):
        x, y = number % _COLUMNS * _PITCH, number // _COLUMNS * (_PITCH + names.room)
        place(axes, image, x, y)
        name_below(axes, name, x, y, names)
    lines = [as_title(title), f"{one.count:,} of {one.labeled:,} image{'s' * (one.labeled != 1)} wrong"]
    axes.set_title("\n".join([*lines, *map(as_title, one.notes)]))
