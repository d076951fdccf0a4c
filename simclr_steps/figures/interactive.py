"""Points in the plane as one page that needs no network: zoom, classes on and off, and each point's image."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bokeh.embed
import bokeh.plotting
import numpy as np
import numpy.typing as npt
import pandas as pd
from bokeh.models import (
    BooleanFilter,
    CategoricalMarkerMapper,
    CDSView,
    ColumnDataSource,
    CustomJSHover,
    HoverTool,
    LinearColorMapper,
)
from bokeh.resources import Resources

from simclr_steps.figures.plots import COLORS, NO_LABEL_COLOR, RAMP
from simclr_steps.figures.points import DISTINCT, SHAPES, Coloring, Group, Points
from simclr_steps.figures.thumbnails import sprite, sprite_columns

MOST_BYTES = 10_000_000  # of a page
_SHOWN_SIDE = 96  # pixels of an image under the pointer
_NOWHERE = "about:blank#"
_PLACE = 'url("IMAGES")'  # no name can be taken for it, as its quotation marks are written in another way
# In the order of the shapes; ◀, ▶ and ✖ are turned triangles and a turned plus.
_MARKERS: list[Any] = [
    *("circle", "square", "triangle", "diamond", "inverted_triangle", "plus", "star"),
    *("triangle", "triangle", "plus"),
]
_TURNS = [0.0] * 7 + [math.pi / 2, -math.pi / 2, math.pi / 4]  # radians
_PALETTE = [*COLORS, NO_LABEL_COLOR, *RAMP]
_FACTORS = [str(shape) for shape in range(SHAPES)]
SIGNS = "●■▲◆▼✚★◀▶✖"
_TEMPLATE = Path(__file__).with_suffix(".html.j2")
_TOOLTIP = """<div style="display:flex;gap:8px;font:13px sans-serif;max-width:320px">
<div style="flex:none;width:{width}px;height:{height}px;background-image:var(--images);image-rendering:pixelated;
background-size:{sheet}px auto;background-position:@{{left}}px @{{top}}px"></div>
<div style="overflow-wrap:anywhere">{facts}</div></div>"""


def interactive(points: Points, tile: tuple[int, int], of_images: Sequence[str] = ()) -> str:
    """Return a page that holds the plot and all that it needs but the points' images, each of `tile` pixels.

    `with_images` puts them in. `of_images` are sentences on how they are shown, if that needs words.
    """
    plot = bokeh.plotting.figure(
        width=900,
        height=680,
        sizing_mode="scale_width",
        tools="pan,wheel_zoom,box_zoom,reset,save",
        toolbar_location="right",
        active_scroll="wheel_zoom",
        x_axis_label="UMAP 1",
        y_axis_label="UMAP 2",
    )
    zoom = _SHOWN_SIDE / max(tile)
    height, width = zoom * tile[0], zoom * tile[1]
    columns = sprite_columns(len(points.table))
    folder = _common_folder(points.table["source"])
    source = ColumnDataSource(_columns(points, columns, height, width, len(folder)), name="points")
    look: dict[str, Any] = {
        "size": 7 if len(points.classes) <= len(COLORS) else 9,
        "alpha": 0.85,
        "angle": "angle",
        "marker": {"field": "shape", "transform": CategoricalMarkerMapper(factors=_FACTORS, markers=_MARKERS)},
        "fill_color": {"field": "color", "transform": _mapper(_PALETTE)},
        "line_color": {"field": "wrong", "transform": _mapper(["#00000000", "#000000"])},
    }
    plot.scatter("x", "y", source=source, view=CDSView(filter=BooleanFilter(name="shown")), **look)
    facts = ["row @row", "@source"]
    if points.labeled:
        facts = ["<b>@label{custom}</b>", "its neighbors vote: @vote{custom}", *facts]
    of_columns = {f"by_{number}": one for number, one in enumerate(points.columns, start=1)}
    facts += [f"{_entities(one.name)}: @{key}{{custom}}" for key, one in of_columns.items()]
    tooltip = _TOOLTIP.format(width=width, height=height, sheet=columns * width, facts="<br>".join(facts))
    names: dict[str, Any] = dict.fromkeys(("@label", "@vote"), _names(points.by_class()))
    names |= {f"@{key}": _names(one) for key, one in of_columns.items()}
    plot.add_tools(HoverTool(tooltips=tooltip, formatters=names))
    page = bokeh.embed.file_html(
        plot,
        Resources(mode="inline", log_level="error"),
        points.title[0],
        template=_TEMPLATE.read_text(encoding="utf-8"),
        template_variables={
            "heading": [" · ".join(points.title), *points.quality],
            "colorings": [points.by_class(), *points.columns] if points.labeled or points.columns else [],
            "color": _color,
            "signs": SIGNS,
            "turns": _TURNS,
            "help": _help(points, folder, of_images),
        },
    )
    # Bokeh, in the head, holds what it needs for these plots; what else it might fetch from afar stays away.
    head, end, body = _with_fixed_ids(str(page)).rpartition("</head>")
    return head.replace("https://cdn.jsdelivr.net/", _NOWHERE) + end + body


def _names(coloring: Coloring) -> CustomJSHover:
    """Return what turns a value's number into its name under the pointer."""
    return CustomJSHover(args={"names": coloring.names, "none": coloring.none}, code="return names[value] ?? none")


def _entities(text: str) -> str:
    """Return HTML of a text in which bokeh finds no field, such as @row, either."""
    return "".join(f"&#{ord(letter)};" for letter in text)


def _with_fixed_ids(page: str) -> str:
    """Return a page with the same ids each time in place of the three that Bokeh draws at random."""
    (of_document,) = re.findall(r'"docid":"([\w-]+)","roots":\{"\w+":"([\w-]+)"\}', page)
    (of_content,) = re.findall(r"getElementById\('([\w-]+)'\)", page)
    for number, drawn in enumerate((*of_document, of_content)):
        page = page.replace(drawn, f"umap-{number}")
    return page


def with_images(pages: dict[str, str], tiles: npt.NDArray[np.uint8]) -> dict[str, str]:
    """Return pages with the same images in them, uint8 [N, h, w, 3], as good as they fit into the largest page."""
    images = sprite(tiles, MOST_BYTES - max(len(page.encode()) for page in pages.values()))
    return {name: page.replace(_PLACE, f"url({images})") for name, page in pages.items()}


def _columns(points: Points, columns: int, height: float, width: float, common: int) -> dict[str, Any]:
    """Return what the page knows of each point. Names are numbers, as the page holds each name once."""
    table = points.table
    place = table.index.to_numpy()  # of a point's image among all images
    look = {group.label: (_color(group), group.shape) for group in points.groups()}
    color, shape = np.array([look[label] for label in points.labels()]).T
    vote = table["prediction"].fillna(-1).to_numpy(dtype=np.int32)
    return {
        "x": table["x"].to_numpy(dtype=np.float32),
        "y": table["y"].to_numpy(dtype=np.float32),
        "row": table["row"].to_numpy(dtype=np.int32),
        "source": table["source"].str[common:].to_numpy(),
        "left": -np.round(place % columns * width).astype(np.int32),
        "top": -np.round(place // columns * height).astype(np.int32),
        "label": np.array(points.labels(), dtype=np.int32),
        "vote": vote,
        "wrong": ((vote >= 0) & (vote != points.labels())).astype(np.int8),
        "color": color.astype(np.int8),
        "shape": np.array(_FACTORS)[shape],
        "angle": np.array(_TURNS, dtype=np.float32)[shape],
        **{f"by_{number}": np.array(one.codes, dtype=np.int32) for number, one in enumerate(points.columns, start=1)},
    }


def _color(group: Group) -> int:
    return _PALETTE.index(group.color)


def _mapper(palette: list[str]) -> LinearColorMapper:
    """Return what turns the number of a color into the color."""
    return LinearColorMapper(palette=palette, low=-0.5, high=len(palette) - 0.5)


def _common_folder(sources: pd.Series[str]) -> str:
    """Return the beginning that all sources share, up to a slash."""
    least, most = min(sources), max(sources)
    same = next((n for n, (one, other) in enumerate(zip(least, most, strict=False)) if one != other), len(least))
    return str(least[: least.rfind("/", 0, same) + 1])


def _help(points: Points, folder: str, of_images: Sequence[str]) -> list[str]:
    text = "Scroll to zoom, drag to pan; hover over a point to see its image."
    if points.labeled:
        text += (
            " A black outline marks a point whose 10 nearest neighbors in feature space vote for a class other than"
            " its own. This vote involves no classifier; the summary shows the mistakes of trained ones."
        )
    lines = [text, *of_images]
    if len(points.classes) > DISTINCT:
        lines.append(f"There are more than {DISTINCT} classes, so colors and shapes repeat.")
    for one in points.columns:
        if len(one.names) > DISTINCT:
            lines.append(f"{one.name} has more than {DISTINCT} values, so colors and shapes repeat.")
    if folder:
        lines.append(f"All paths start with {folder}")
    return lines
