"""All layers' points in one page: colors by choice, lasso and search with export, each point's image; no network."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup

from simclr_steps.figures.points import DISTINCT, Coloring, Points
from simclr_steps.figures.thumbnails import Images, sprite, sprite_columns

MOST_BYTES = 10_000_000  # of a page
MOST_INLINED = 10_000  # images that are in the page; of more, they are in files beside it
IN_A_SHEET = 1024  # images
SHEETS = "map_images"  # the folder beside the page that has these files
SIGNS = "●■▲◆▼✚★◀▶✖"  # of the shapes
# The script is no template; its suffix makes it part of this module's code hash.
_TEMPLATE, _SCRIPT = (Path(__file__).with_suffix(f".{kind}.j2") for kind in ("html", "js"))


def map_page(
    title: Sequence[str],
    layers: Sequence[Points],
    colorings: Sequence[Coloring],
    tile: tuple[int, int] | None,
    *,
    images: Images | None,
    of_images: Sequence[str] = (),
) -> str:
    """Return a page that holds the points of all layers, which are in the same order, and all that it needs.

    Parameters
    ----------
    title
        Lines, of which the first one is the heading.
    colorings
        What the points can be colored by. Where there are labels, the first is that of the classes, and the second that
        of what neighbors vote for.
    tile
        Height and width of an image, in pixels; None to show no images.
    images
        Of all points, [N, h, w, 3], in the order of the table's index; without them, the page looks for sheets of
        `IN_A_SHEET` images in the folder `SHEETS` beside it.
    of_images
        Sentences on how images are shown, if that needs words.
    """
    table = layers[0].table
    labeled = layers[0].labeled
    folder = _common_folder(table["source"])
    beside = images is None and tile is not None
    facts = {
        "count": len(table),
        "layers": [{"key": one.layer} for one in layers],
        "colorings": [_facts(one, votes=labeled and number == 1) for number, one in enumerate(colorings)],
        "vote": 1 if labeled else None,
        "signs": SIGNS,
        "folder": folder,
        "tile": tile,
        "beside": SHEETS if beside else None,
        "in_sheet": IN_A_SHEET if beside else max(len(table), 1),
        "across": sprite_columns(IN_A_SHEET if beside else len(table)),
    }
    shown = {
        "title": title[0],
        "lines": title[1:],
        "layers": [
            {"name": f"{one.layer.replace('_', ' ').capitalize()} features", "lines": one.quality} for one in layers
        ],
        "help": _help(colorings, of_images, labeled=labeled, pictured=tile is not None),
        "facts": facts,
        "values": base64.b64encode(_values(layers, colorings, len(folder))).decode(),
        "script": Markup(_SCRIPT.read_text(encoding="utf-8")),  # noqa: S704 (the package's own)
    }
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    if images is None:
        return template.render(shown, images="")
    room = MOST_BYTES - len(template.render(shown, images="").encode())
    return template.render(shown, images=sprite(images, room))


def _facts(coloring: Coloring, *, votes: bool) -> dict[str, Any]:
    groups = [
        {"code": one.label, "name": one.name, "color": one.color, "shape": one.shape} for one in coloring.groups()
    ]
    says = "its neighbors vote" if votes else coloring.name
    return {"name": coloring.name, "says": says, "names": coloring.names, "none": coloring.none, "groups": groups}


def _values(layers: Sequence[Points], colorings: Sequence[Coloring], common: int) -> bytes:
    """Return what the page knows of each point, column by column in 4 bytes a value, then the paths' ends; packed."""
    table = layers[0].table
    columns = [one.table[axis].to_numpy(dtype="<f4") for one in layers for axis in "xy"]
    columns += [table["row"].to_numpy(dtype="<i4"), table.index.to_numpy(dtype="<i4")]
    columns += [np.array(one.codes, dtype="<i4") for one in colorings]
    paths = "\0".join(path[common:] for path in table["source"]).encode("utf-8", "replace")
    return gzip.compress(b"".join([*(column.tobytes() for column in columns), paths]), mtime=0)


def _common_folder(sources: pd.Series[str]) -> str:
    """Return the beginning that all sources share, up to a slash."""
    least, most = min(sources), max(sources)
    same = next((n for n, (one, other) in enumerate(zip(least, most, strict=False)) if one != other), len(least))
    return str(least[: least.rfind("/", 0, same) + 1])


def _help(colorings: Sequence[Coloring], of_images: Sequence[str], *, labeled: bool, pictured: bool) -> list[str]:
    lines = [
        "Scroll or pinch to zoom, drag to move; point at an image's point, or tap it, to see "
        f"{'the image' if pictured else 'which image it is'}. Lasso, or the "
        "shift key while dragging, selects the points inside a line in both maps; so does a part of a path. "
        "Both axes of a map have the same scale.",
        "Clusters are by k-means in the backbone's features, the largest first.",
    ]
    if labeled:
        lines.append(
            "Prediction is the class that the 10 nearest neighbors in the backbone's features vote for, and a black "
            "outline, on points large enough for it, marks where it is not the point's own. It involves no classifier; "
            "the summary shows the mistakes of trained ones."
        )
    lines += of_images
    lines += [
        f"{one.name} has more than {DISTINCT} values, so colors and shapes repeat."
        for one in colorings
        if len(one.names) > DISTINCT and not one.ranges
    ]
    return lines
