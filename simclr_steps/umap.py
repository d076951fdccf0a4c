"""Draw gathered features in the plane with UMAP, and measure how far the picture can be trusted."""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bokeh.embed
import bokeh.plotting
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from bokeh.models import ColumnDataSource, HoverTool
from bokeh.models.annotations import Legend, LegendItem
from bokeh.resources import INLINE
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from sklearn.manifold import trustworthiness
from sklearn.metrics import silhouette_score

from simclr_steps.errors import UserError
from simclr_steps.files import read_json, whole_folder, write_json, write_text
from simclr_steps.logs import log
from simclr_steps.neighbours import nearest, vote
from simclr_steps.packed import NO_LABEL, read_description
from simclr_steps.plots import as_text, colours, new_figure, save
from simclr_steps.provenance import Record
from simclr_steps.settings import UmapSettings
from simclr_steps.splits import proportional_draw

LAYERS = ("backbone", "projection_head")
_VOTERS = 10  # neighbours in the kNN accuracies of quality.json
_MOST_IN_QUALITY = 4000  # trustworthiness compares all pairs of points
_MOST_IN_LEGEND = 120  # classes
_ROWS_OF_LEGEND = 25
_MOST_DRAWN_AS_VECTORS = 3000  # points
_NO_LABEL_COLOUR = "#cccccc"

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Points:
    """Rows of a split, drawn by one layer."""

    layer: str
    title: list[str]  # lines
    table: pd.DataFrame  # row, x, y, label (null where there is none), class, source
    classes: list[str]

    @property
    def labelled(self) -> bool:
        """Tell whether any point has a label."""
        return bool(self.table["label"].notna().any())

    def groups(self) -> list[tuple[str, str, pd.DataFrame]]:
        """Return name, colour and points of each class that occurs, those without a label first and so underneath."""
        label = self.table["label"]
        plain = _NO_LABEL_COLOUR if self.labelled else colours(1)[0]
        groups = [("no label", plain, self.table[label.isna()])]
        for number, (name, colour) in enumerate(zip(self.classes, colours(len(self.classes)), strict=True)):
            groups.append((name, colour, self.table[label.eq(number).fillna(False)]))
        return [group for group in groups if len(group[2])]


def umap(settings: UmapSettings, *, features: Path, data: Path, out: Path) -> None:
    """Lay out the features of backbone and projection head in the plane.

    Reads what gather wrote for an encoder. Writes into `out`, for each layer, <layer>.csv (row, x, y, label, class),
    .png, .svg and .html (interactive, needs no network), and quality.json for all. UMAP sees no label unless
    `supervised` is set, and the plot then says so.

    Raises UserError when there are too few rows for `n_neighbors`, or no labels to supervise with.
    """
    description = read_description(data)
    record = Record("umap", settings, description.content_hash, settings.random_state)
    facts = read_json(features / "run.json")
    if facts["run"]["data_hash"] != description.content_hash:
        raise UserError(f"{features} was computed from other data than {data}: run predict and gather again")
    rows = pd.read_parquet(features / "rows.parquet")
    labels = rows["label"].fillna(NO_LABEL).to_numpy(dtype=np.int64)
    drawn = np.arange(len(rows))
    if len(rows) > settings.max_points:
        drawn = proportional_draw(labels, settings.max_points, settings.random_state)
    _check(settings, labels[drawn])
    quality: dict[str, Any] = {}
    with whole_folder(out) as folder:
        for layer in LAYERS:
            values = np.load(features / f"{layer}.npy", allow_pickle=False)[drawn]
            log.info("%s: %d points of %d values", layer, *values.shape)
            plane = _layout(settings, values, labels[drawn])
            quality[layer] = _quality(settings, values, plane, labels[drawn])
            title = _title(settings, layer, data.resolve().name, facts["split"], len(drawn), labels)
            table = rows.iloc[drawn].assign(x=plane[:, 0], y=plane[:, 1])
            points = Points(layer, title, table, description.classes)
            table[["row", "x", "y", "label", "class"]].to_csv(folder / f"{layer}.csv", index=False)
            save(draw(points), folder / layer)
            write_text(folder / f"{layer}.html", interactive(points))
        write_json(folder / "quality.json", {**quality, "neighbours": _VOTERS, "run": record.finish()})
    log.info("wrote %s", out)


def _check(settings: UmapSettings, labels: npt.NDArray[np.int64]) -> None:
    if len(labels) < settings.n_neighbors + 1:
        raise UserError(
            f"umap.n_neighbors: {settings.n_neighbors} takes at least {settings.n_neighbors + 1} rows, but there are "
            f"{len(labels)}: make it smaller, or draw a larger split"
        )
    if settings.supervised and (labels == NO_LABEL).all():
        raise UserError("umap.supervised: the split has no labels to show UMAP: set it to false")


def _layout(settings: UmapSettings, features: Floats, labels: npt.NDArray[np.int64]) -> Floats:
    """Return coordinates in the plane, float32 [N, 2]: features, [N, D]; labels, [N], used if supervised."""
    _let_numba_store()
    from umap import UMAP

    # Exact neighbours from torch take a second where UMAP's own approximate search compiles for half a minute.
    indices, distances = nearest(
        features, features, settings.n_neighbors - 1, metric=settings.metric, leave_one_out=True
    )
    itself = torch.arange(len(features))[:, None]  # UMAP counts a point as its own first neighbour
    known = (
        torch.cat([itself, indices], dim=1).numpy(),
        torch.cat([torch.zeros(len(features), 1), distances], dim=1).numpy(),
        None,
    )
    model = UMAP(
        n_neighbors=settings.n_neighbors,
        min_dist=settings.min_dist,
        metric=settings.metric,
        random_state=settings.random_state,
        n_jobs=1,
        precomputed_knn=known,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*transform will be unavailable.*")
        return np.asarray(model.fit_transform(features, y=labels if settings.supervised else None))


def _let_numba_store() -> None:
    """Give numba a folder for compiled code where it has none, as in a read-only image; UMAP does not import else."""
    spec = importlib.util.find_spec("umap")
    if "NUMBA_CACHE_DIR" in os.environ or not spec or not spec.origin or os.access(Path(spec.origin).parent, os.W_OK):
        return
    folder = tempfile.mkdtemp(prefix="numba-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["NUMBA_CACHE_DIR"] = folder


def _quality(
    settings: UmapSettings, features: Floats, plane: Floats, labels: npt.NDArray[np.int64]
) -> dict[str, float | str | None]:
    """Compare plane and features; see scikit-learn's trustworthiness and silhouette_score.

    The kNN accuracies are those of each point's vote by its nearest others; the silhouette is that of the classes in
    the plane. What needs labels is null where there are none.
    """
    some = proportional_draw(labels, _MOST_IN_QUALITY, settings.random_state)
    neighbours = min(settings.n_neighbors, (len(some) - 1) // 2)
    quality: dict[str, float | str | None] = {
        "knn_accuracy_plane": None,
        "knn_accuracy_features": None,
        "trustworthiness": float(
            trustworthiness(features[some], plane[some], n_neighbors=neighbours, metric=settings.metric)
        ),
        "silhouette": None,
        "note": f"Trustworthiness was measured on {len(some)} of the points." if len(some) < len(labels) else None,
    }
    known = labels != NO_LABEL
    if len(np.unique(labels[known])) < 2:
        return quality | {"note": "Accuracy and silhouette cannot be measured: that takes labels of two classes."}
    quality["knn_accuracy_plane"] = _own_vote(plane[known], labels[known], "euclidean")
    quality["knn_accuracy_features"] = _own_vote(features[known], labels[known], settings.metric)
    if len(np.unique(labels[known])) < known.sum():
        quality["silhouette"] = float(silhouette_score(plane[known], labels[known]))
    return quality


def _own_vote(values: Floats, labels: npt.NDArray[np.int64], metric: Any) -> float:
    indices, _ = nearest(values, values, _VOTERS, metric=metric, leave_one_out=True)
    return float(np.mean(vote(labels[indices.numpy()]) == labels))


def _title(
    settings: UmapSettings, layer: str, dataset: str, split: str, points: int, labels: npt.NDArray[np.int64]
) -> list[str]:
    thinned = f", thinned from {len(labels):,}" if points < len(labels) else ""
    lines = [
        f"{layer.replace('_', ' ').capitalize()} features of {dataset}, {split} split",
        f"{points:,} points{thinned}; n_neighbors {settings.n_neighbors}, min_dist {settings.min_dist:g}, "
        f"{settings.metric}",
    ]
    if settings.supervised:
        lines.append("supervised: UMAP was shown the labels")
    if (labels == NO_LABEL).all():
        lines.append("no image has a label")
    return lines


def draw(points: Points) -> Figure:
    """Return a scatter plot with its legend beside it."""
    groups = points.groups()
    legend = points.labelled and len(groups) <= _MOST_IN_LEGEND
    columns = -(-len(groups) // _ROWS_OF_LEGEND) if legend else 0
    figure = new_figure(5.4 + 1.1 * columns, 5.6)
    axes = figure.add_subplot()
    size = float(np.clip(9000 / len(points.table), 2, 24))
    for _, colour, group in groups:
        rasterized = len(points.table) > _MOST_DRAWN_AS_VECTORS
        axes.scatter(group["x"], group["y"], s=size, color=colour, alpha=0.8, linewidths=0, rasterized=rasterized)
    axes.set_box_aspect(1)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel("UMAP 1")
    axes.set_ylabel("UMAP 2")
    axes.set_title("\n".join(points.title).replace("$", r"\$"), fontsize=9)
    if legend:
        figure.legend(
            [Line2D([], [], marker="o", linestyle="", color=colour, markersize=5) for _, colour, _ in groups],
            [as_text(name) for name, _, _ in groups],
            loc="outside right center",
            ncols=columns,
            fontsize=9 if columns == 1 else 6,
            frameon=False,
            handletextpad=0.2,
            columnspacing=0.8,
        )
    elif points.labelled:
        axes.set_xlabel(f"UMAP 1 ({len(groups)} classes, too many for a legend: see the interactive plot)")
    return figure


def interactive(points: Points) -> str:
    """Return a page that holds the plot and all it needs: zoom, what a point is, classes switched on and off."""
    plot = bokeh.plotting.figure(
        title="\n".join(points.title),
        width=900,
        height=720,
        tools="pan,wheel_zoom,box_zoom,reset,save",
        active_scroll="wheel_zoom",
        x_axis_label="UMAP 1",
        y_axis_label="UMAP 2",
    )
    groups = points.groups()
    items = []
    for name, colour, group in groups:
        shown = group[["x", "y", "row", "source"]].assign(label=name)
        source = ColumnDataSource({str(column): shown[column].to_numpy() for column in shown})
        drawn = plot.scatter("x", "y", source=source, size=6, color=colour, alpha=0.8, line_color=None)
        items.append(LegendItem(label={"value": name}, renderers=[drawn]))  # type: ignore[list-item]  # bokeh types its lists as invariant
    if points.labelled and len(groups) <= _MOST_IN_LEGEND:
        columns = -(-len(groups) // _ROWS_OF_LEGEND)
        size = "13px" if columns == 1 else "9px"
        legend = Legend(items=items, click_policy="hide", ncols=columns, label_text_font_size=size, spacing=0)
        legend.title = "click to hide or show"
        plot.add_layout(legend, "right")
    plot.add_tools(HoverTool(tooltips=[("label", "@label"), ("source", "@source"), ("row", "@row")]))
    return str(bokeh.embed.file_html(plot, INLINE, points.title[0]))
