"""UMAP's layout of features in the plane, and how far it can be trusted."""

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

from simclr_steps.data.groups import Groups, by_group
from simclr_steps.data.splits import Labels, labeled_rows, proportional_draw
from simclr_steps.evaluation.neighbors import nearest, vote
from simclr_steps.settings.base import NO_LABEL
from simclr_steps.settings.umap import UmapSettings

VOTERS = 10  # neighbors in the kNN accuracies of quality.json
_MOST_IN_QUALITY = 4000  # trustworthiness and silhouette compare all pairs of points
ACCURACIES = ("knn_accuracy_plane", "knn_accuracy_features")
MEASURES = (*ACCURACIES, "silhouette")  # which take labels
Floats = npt.NDArray[np.floating[Any]]


def layout(settings: UmapSettings, features: Floats, labels: Labels) -> Floats:
    """Return coordinates in the plane, float32 [N, 2]: features, [N, D]; labels, [N], used if supervised."""
    neighbors = neighbors_kept(settings, len(features))
    _let_numba_store()
    from umap import UMAP

    # Exact neighbors from torch take a second where UMAP's own approximate search compiles for half a minute.
    indices, distances = nearest(features, features, neighbors - 1, metric=settings.metric, leave_one_out=True)
    itself = torch.arange(len(features))[:, None]  # UMAP counts a point as its own first neighbor
    neighbor_graph = (
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
        precomputed_knn=neighbor_graph,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*transform will be unavailable.*")
        return np.asarray(model.fit_transform(features, y=labels if settings.supervised else None))


def neighbors_kept(settings: UmapSettings, points: int) -> int:
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


def layout_quality(
    settings: UmapSettings,
    features: Floats,
    plane: Floats,
    labels: Labels,
    predictions: pd.Series[Any],
    groups: Groups | None = None,
) -> dict[str, Any]:
    """Compare plane and features; see scikit-learn's trustworthiness and silhouette_score.

    The kNN accuracies are those of each point's vote by its nearest others, of `images` points; if images have groups,
    [N], `by_group` counts them by these. The silhouette is that of the classes in the plane. What needs labels is null
    where there are none.
    """
    some = proportional_draw(labels, _MOST_IN_QUALITY, settings.random_state)
    neighbors = min(settings.n_neighbors, (len(some) - 1) // 2)
    quality: dict[str, Any] = {
        **dict.fromkeys(MEASURES),
        "trustworthiness": float(
            trustworthiness(features[some], plane[some], n_neighbors=neighbors, metric=settings.metric)
        ),
        "note": f"Trustworthiness and silhouette were measured on {len(some)} of the points."
        if len(some) < len(labels)
        else None,
    }
    labeled = labeled_rows(labels)
    if len(np.unique(labels[labeled])) < 2:
        return quality | {"note": "Neighborhoods of classes were not measured: they require labels of two classes."}
    in_plane = own_votes(plane, labels, "euclidean")
    right = {
        name: votes[labeled].to_numpy(dtype=np.int64) == labels[labeled]
        for name, votes in zip(ACCURACIES, (in_plane, predictions), strict=True)
    }
    quality |= {name: float(np.mean(of_points)) for name, of_points in right.items()}
    quality |= {"images": len(labeled), **by_group(None if groups is None else groups[labeled], **right)}
    some = some[labels[some] != NO_LABEL]
    if 1 < len(np.unique(labels[some])) < len(some):
        quality["silhouette"] = float(silhouette_score(plane[some], labels[some]))
    return quality


def own_votes(values: Floats, labels: Labels, metric: Any) -> pd.Series[Any]:
    """Return what each labeled point's nearest other labeled points vote for, Int64 [N], null for the others."""
    votes = pd.Series(pd.NA, index=range(len(labels)), dtype="Int64")
    labeled = labeled_rows(labels)
    if len(labeled) > 1:
        indices, _ = nearest(values[labeled], values[labeled], VOTERS, metric=metric, leave_one_out=True)
        votes[labeled] = vote(labels[labeled][indices.numpy()])
    return votes
