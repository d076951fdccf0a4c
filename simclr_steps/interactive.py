"""Points in the plane as one page that needs no network: zoom, classes on and off, and each point's image."""

from __future__ import annotations

import html

import bokeh.embed
import bokeh.plotting
import numpy as np
import pandas as pd
from bokeh.models import ColumnDataSource, HoverTool
from bokeh.models.annotations import Legend, LegendItem
from bokeh.resources import Resources

from simclr_steps.points import MOST_IN_LEGEND, ROWS_OF_LEGEND, Points
from simclr_steps.thumbnails import Sprite

_SHOWN_SIDE = 96  # pixels of an image under the pointer
_NOWHERE = "about:blank#"
_TEMPLATE = """
{% block preamble %}
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<style>:root { --images: url(SPRITE); } body { font: 14px/1.4 sans-serif; color: #222; }
body > p { margin: .5rem; }</style>
{% endblock %}
{% block contents %}
<p>{{ heading }}</p>
{{ super() }}
<p>{{ help }}</p>
{% endblock %}
"""
_TOOLTIP = """<div style="display:flex;gap:8px;font:13px sans-serif;max-width:320px">
<div style="flex:none;width:{width}px;height:{height}px;background-image:var(--images);image-rendering:pixelated;
background-size:{sheet}px auto;background-position:@{{left}}px @{{top}}px"></div>
<div style="overflow-wrap:anywhere">{facts}</div></div>"""


def interactive(points: Points, images: Sprite) -> str:
    """Return a page that holds the plot, the points' images in the order of the points, and all that it needs."""
    plot = bokeh.plotting.figure(
        width=900,
        height=680,
        sizing_mode="scale_width",
        max_width=1100,
        tools="pan,wheel_zoom,box_zoom,reset,save",
        active_scroll="wheel_zoom",
        x_axis_label="UMAP 1",
        y_axis_label="UMAP 2",
    )
    zoom = _SHOWN_SIDE / max(images.height, images.width)
    height, width = zoom * images.height, zoom * images.width
    place = np.arange(len(points.table))
    shown = points.table.assign(
        left=-np.round(place % images.columns * width).astype(np.int32),
        top=-np.round(place // images.columns * height).astype(np.int32),
        edge=np.where(_is_wrong(points.table), "black", "transparent"),
        voted=[points.classes[number] if pd.notna(number) else "" for number in points.table["prediction"]],
    )
    items = []
    for name, colour, group in points.groups():
        here = shown.loc[group.index, ["x", "y", "row", "source", "left", "top", "edge", "voted"]].assign(label=name)
        here = here.astype({"x": np.float32, "y": np.float32, "row": np.int32})
        source = ColumnDataSource({str(column): here[column].to_numpy() for column in here})
        drawn = plot.scatter("x", "y", source=source, size=6, color=colour, alpha=0.85, line_color="edge")
        plain = int(np.argmax(here["edge"].to_numpy() == "transparent"))
        items.append(LegendItem(label={"value": name}, renderers=[drawn], index=plain))  # type: ignore[list-item]  # bokeh types its lists as invariant
    if points.labelled and len(items) <= MOST_IN_LEGEND:
        plot.add_layout(_legend(items), "right")
    facts = ["row @row", "@source"]
    if points.labelled:
        facts = ["<b>@label</b>", "neighbours vote: @voted", *facts]
    tooltip = _TOOLTIP.format(width=width, height=height, sheet=images.columns * width, facts="<br>".join(facts))
    plot.add_tools(HoverTool(tooltips=tooltip))
    page = bokeh.embed.file_html(
        plot,
        Resources(mode="inline", log_level="error"),
        points.title[0],
        template=_TEMPLATE.replace("SPRITE", images.uri),
        template_variables={"heading": " · ".join(map(html.escape, points.title)), "help": _help(points)},
    )
    # Bokeh holds what it needs for these plots; what else it might fetch from afar stays away.
    return str(page).replace("https://cdn.jsdelivr.net/", _NOWHERE)


def _is_wrong(table: pd.DataFrame) -> pd.Series[bool]:
    known = table["label"].notna() & table["prediction"].notna()
    return known & (table["label"] != table["prediction"]).fillna(False)


def _help(points: Points) -> str:
    text = "Scroll to zoom, drag to move; point at a dot to see its image."
    if points.labelled:
        text += (
            " A click on a class in the legend hides or shows it. A black ring marks a point whose nearest others in"
            " the space of the features vote for another class than its own."
        )
    return text


def _legend(items: list[LegendItem]) -> Legend:
    columns = -(-len(items) // ROWS_OF_LEGEND)
    size = "12px" if columns == 1 else "9px"
    return Legend(items=items, click_policy="hide", ncols=columns, label_text_font_size=size, spacing=0)
