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
from sklearn.manifold import trustworthiness
from sklearn.metrics import silhouette_score

from simclr_steps.data.packed import NO_LABEL, Description, read_description, read_split
from simclr_steps.data.splits import proportional_draw
from simclr_steps.evaluation.neighbors import nearest, vote
from simclr_steps.figures.interactive import interactive, with_images
from simclr_steps.figures.plots import save, sentence
from simclr_steps.figures.points import Points, quality_lines, shuffled
from simclr_steps.figures.scatter import draw
from simclr_steps.figures.thumbnails import thumbnails
from simclr_steps.files import read_json, whole_folder, write_json, write_text
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.machine.provenance import Record
from simclr_steps.settings.blocks import UmapSettings

LAYERS = ("backbone", "projection_head")
LEAST_ROWS = 10  # below, there is no layout
_VOTERS = 10  # neighbors in the kNN accuracies of quality.json
_MOST_IN_QUALITY = 4000  # trustworthiness and silhouette compare all pairs of points
_LARGEST_TILE = 32  # pixels
_MOST_LARGE_TILES = 10_000
_MEASURES = ("knn_accuracy_plane", "knn_accuracy_features", "silhouette")  # which take labels

Floats = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.int64]


def umap(settings: UmapSettings, *, features: Path, data: Path, out: Path) -> None:
    """Lay out the features of backbone and projection head in the plane.

    Reads what gather wrote for an encoder. Writes into `out`, for each layer, <layer>.csv (row, x, y, label, class),
    .png, .svg and .html (interactive, needs no network), and quality.json for all. UMAP sees no label unless
    `supervised` is set, and the plot then says so. A split of few rows is laid out with fewer neighbors than
    `n_neighbors`, and one of less than 10 rows not at all: the files then say so.

    Raises UserError when there are no labels to supervise with.
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
    rows = rows.iloc[drawn].reset_index(drop=True)
    quality: dict[str, Any] = {}
    with whole_folder(out) as folder:
        if len(drawn) < LEAST_ROWS:
            quality |= _say_too_few(rows, facts["split"], folder)
        else:
            if settings.supervised and (labels == NO_LABEL).all():
                raise UserError("umap.supervised: the split has no labels to show UMAP: set it to false")
            title = _title(settings, data.resolve().name, facts["split"], len(drawn), labels)
            images = _tiles(read_split(data, facts["split"]).images, drawn)
            pages = {}
            for layer in LAYERS:
                values = np.load(features / f"{layer}.npy", allow_pickle=False)[drawn]
                log.info("%s: %d points of %d values", layer, *values.shape)
                points, quality[layer] = _points(settings, layer, values, rows, labels[drawn], title, description)
                table = points.table.sort_index()
                table[["row", "x", "y", "label", "class"]].to_csv(folder / f"{layer}.csv", index=False)
                save(draw(points), folder / layer)
                pages[layer] = interactive(points, images.shape[1:3])
            for layer, page in with_images(pages, images).items():
                write_text(folder / f"{layer}.html", page)
        write_json(folder / "quality.json", {**quality, "neighbors": _VOTERS, "run": record.finish()})
    log.info("wrote %s", out)


def _points(
    settings: UmapSettings,
    layer: str,
    values: Floats,
    rows: pd.DataFrame,
    labels: Labels,
    title: list[str],
    description: Description,
) -> tuple[Points, dict[str, Any]]:
    """Return the points of a layer, features [N, D], and their quality."""
    plane = layout(settings, values, labels)
    votes = _own_votes(values, labels, settings.metric)
    quality = _quality(settings, values, plane, labels, votes)
    table = shuffled(rows.assign(x=plane[:, 0], y=plane[:, 1], prediction=votes), settings.random_state)
    first = f"{layer.replace('_', ' ').capitalize()} features of {title[0]}"
    return Points(layer, [first, *title[1:]], quality_lines(quality), table, description.classes), quality


def _say_too_few(rows: pd.DataFrame, split: str, folder: Path) -> dict[str, Any]:
    """Write all layers' files for a split that is too small to lay out; return their quality, which has no value."""
    text = (
        f"No features were drawn in the plane: the {split} split has {len(rows)} images, and that takes {LEAST_ROWS}."
    )
    log.warning("%s", text)
    quality: dict[str, Any] = dict.fromkeys((*_MEASURES, "trustworthiness"))
    for layer in LAYERS:
        rows.assign(x=np.nan, y=np.nan)[["row", "x", "y", "label", "class"]].to_csv(
            folder / f"{layer}.csv", index=False
        )
        save(sentence(text), folder / layer)
        write_text(folder / f"{layer}.html", f"<!DOCTYPE html><meta charset='utf-8'><title>UMAP</title><p>{text}</p>")
    return {layer: {**quality, "note": text} for layer in LAYERS}


def layout(settings: UmapSettings, features: Floats, labels: Labels) -> Floats:
    """Return coordinates in the plane, float32 [N, 2]: features, [N, D]; labels, [N], used if supervised."""
    neighbors = _neighbors(settings, len(features))
    _let_numba_store()
    from umap import UMAP

    # Exact neighbors from torch take a second where UMAP's own approximate search compiles for half a minute.
    indices, distances = nearest(features, features, neighbors - 1, metric=settings.metric, leave_one_out=True)
    itself = torch.arange(len(features))[:, None]  # UMAP counts a point as its own first neighbor
    known = (
        torch.cat([itself, indices], dim=1).numpy(),
        torch.cat([torch.zeros(len(features), 1), distances], dim=1).numpy(),
        None,
    )
    model = UMAP(
        n_neighbors=neighbors,
        min_dist=settings.min_dist,
        metric=settings.metric,
        random_state=settings.random_state,
        n_jobs=1,
        precomputed_knn=known,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*transform will be unavailable.*")
        return np.asarray(model.fit_transform(features, y=labels if settings.supervised else None))


def _neighbors(settings: UmapSettings, points: int) -> int:
    """Return how many neighbors UMAP keeps together: no more than there are."""
    return min(settings.n_neighbors, points - 1)


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
    labels: Labels,
    predictions: pd.Series[Any],
) -> dict[str, float | str | None]:
    """Compare plane and features; see scikit-learn's trustworthiness and silhouette_score.

    The kNN accuracies are those of each point's vote by its nearest others; the silhouette is that of the classes in
    the plane. What needs labels is null where there are none.
    """
    some = proportional_draw(labels, _MOST_IN_QUALITY, settings.random_state)
    neighbors = min(settings.n_neighbors, (len(some) - 1) // 2)
    quality: dict[str, float | str | None] = {
        **dict.fromkeys(_MEASURES),
        "trustworthiness": float(
            trustworthiness(features[some], plane[some], n_neighbors=neighbors, metric=settings.metric)
        ),
        "note": f"Trustworthiness and silhouette were measured on {len(some)} of the points."
        if len(some) < len(labels)
        else None,
    }
    known = labels != NO_LABEL
    if len(np.unique(labels[known])) < 2:
        return quality | {"note": "Accuracy and silhouette cannot be measured: that takes labels of two classes."}
    in_plane = _own_votes(plane, labels, "euclidean")
    for name, votes in (("plane", in_plane), ("features", predictions)):
        quality[f"knn_accuracy_{name}"] = float(np.mean(votes[known].to_numpy(dtype=np.int64) == labels[known]))
    some = some[known[some]]
    if 1 < len(np.unique(labels[some])) < len(some):
        quality["silhouette"] = float(silhouette_score(plane[some], labels[some]))
    return quality


def _own_votes(values: Floats, labels: Labels, metric: Any) -> pd.Series[Any]:
    """Return what each labeled point's nearest other labeled points vote for, Int64 [N], null for the others."""
    votes = pd.Series(pd.NA, index=range(len(labels)), dtype="Int64")
    known = labels != NO_LABEL
    if known.sum() > 1:
        indices, _ = nearest(values[known], values[known], _VOTERS, metric=metric, leave_one_out=True)
        votes[known] = vote(labels[known][indices.numpy()])
    return votes


def _tiles(images: npt.NDArray[np.uint8], drawn: Labels) -> npt.NDArray[np.uint8]:
    """Return small copies of the drawn images; where they are many they are smaller."""
    side = min(_LARGEST_TILE, int(_LARGEST_TILE * np.sqrt(_MOST_LARGE_TILES / len(drawn))))
    return thumbnails(images[drawn], max(side, 4))


def _title(settings: UmapSettings, dataset: str, split: str, points: int, labels: Labels) -> list[str]:
    thinned = f", thinned from {len(labels):,}" if points < len(labels) else ""
    neighbors = f"n_neighbors {settings.n_neighbors}"
    if _neighbors(settings, points) < settings.n_neighbors:
        neighbors = f"n_neighbors {points - 1} (not {settings.n_neighbors}, as there are too few points)"
    lines = [
        f"{dataset}, {split} split",
        f"{points:,} points{thinned}; {neighbors}, min_dist {settings.min_dist:g}, {settings.metric}",
    ]
    if settings.supervised:
        lines.append("supervised: UMAP was shown the labels")
    if (labels == NO_LABEL).all():
        lines.append("no image has a label")
    return lines
