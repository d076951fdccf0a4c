"""Draw gathered features in the plane with UMAP, and measure how far the picture can be trusted."""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from sklearn.manifold import trustworthiness
from sklearn.metrics import silhouette_score

from simclr_steps.errors import UserError
from simclr_steps.files import read_json, whole_folder, write_json, write_text
from simclr_steps.interactive import interactive
from simclr_steps.logs import log
from simclr_steps.neighbours import nearest, vote
from simclr_steps.packed import NO_LABEL, read_description, read_split
from simclr_steps.plots import as_text, new_figure, save
from simclr_steps.points import MOST_IN_LEGEND, ROWS_OF_LEGEND, Points
from simclr_steps.provenance import Record
from simclr_steps.settings import UmapSettings
from simclr_steps.splits import proportional_draw
from simclr_steps.thumbnails import Sprite, sprite, thumbnails

LAYERS = ("backbone", "projection_head")
_VOTERS = 10  # neighbours in the kNN accuracies of quality.json
_MOST_IN_QUALITY = 4000  # trustworthiness compares all pairs of points
_MOST_DRAWN_AS_VECTORS = 3000  # points
_LARGEST_TILE = 32  # pixels
_MOST_LARGE_TILES = 10_000

Floats = npt.NDArray[np.floating[Any]]


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
    images = _sprite(read_split(data, facts["split"]).images, drawn)
    quality: dict[str, Any] = {}
    with whole_folder(out) as folder:
        for layer in LAYERS:
            values = np.load(features / f"{layer}.npy", allow_pickle=False)[drawn]
            log.info("%s: %d points of %d values", layer, *values.shape)
            plane = _layout(settings, values, labels[drawn])
            predictions = _own_votes(values, labels[drawn], settings.metric)
            quality[layer] = _quality(settings, values, plane, labels[drawn], predictions)
            title = _title(settings, layer, data.resolve().name, facts["split"], len(drawn), labels)
            table = rows.iloc[drawn].reset_index(drop=True).assign(x=plane[:, 0], y=plane[:, 1], prediction=predictions)
            points = Points(layer, title, table, description.classes)
            table[["row", "x", "y", "label", "class"]].to_csv(folder / f"{layer}.csv", index=False)
            save(draw(points), folder / layer)
            write_text(folder / f"{layer}.html", interactive(points, images))
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
    settings: UmapSettings,
    features: Floats,
    plane: Floats,
    labels: npt.NDArray[np.int64],
    predictions: pd.Series[Any],
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
    in_plane = _own_votes(plane, labels, "euclidean")
    for name, votes in (("plane", in_plane), ("features", predictions)):
        quality[f"knn_accuracy_{name}"] = float(np.mean(votes[known].to_numpy(dtype=np.int64) == labels[known]))
    if len(np.unique(labels[known])) < known.sum():
        quality["silhouette"] = float(silhouette_score(plane[known], labels[known]))
    return quality


def _own_votes(values: Floats, labels: npt.NDArray[np.int64], metric: Any) -> pd.Series[Any]:
    """Return what each labelled point's nearest other labelled points vote for, Int64 [N], null for the others."""
    votes = pd.Series(pd.NA, index=range(len(labels)), dtype="Int64")
    known = labels != NO_LABEL
    if known.sum() > 1:
        indices, _ = nearest(values[known], values[known], _VOTERS, metric=metric, leave_one_out=True)
        votes[known] = vote(labels[known][indices.numpy()])
    return votes


def _sprite(images: npt.NDArray[np.uint8], drawn: npt.NDArray[np.int64]) -> Sprite:
    """Return small copies of the drawn images in one picture; where they are many they are smaller."""
    side = min(_LARGEST_TILE, int(_LARGEST_TILE * np.sqrt(_MOST_LARGE_TILES / len(drawn))))
    return sprite(thumbnails(images[drawn], max(side, 4)))


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
    legend = points.labelled and len(groups) <= MOST_IN_LEGEND
    columns = -(-len(groups) // ROWS_OF_LEGEND) if legend else 0
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
