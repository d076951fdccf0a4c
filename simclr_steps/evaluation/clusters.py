"""Clusters of features by k-means, and what to label next by them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from simclr_steps.data.splits import Labels, Rows, labeled_rows, stratified_draw
from simclr_steps.evaluation.linear_probe import LinearProbe

_MOST_AUTO = 50  # clusters that a person would look at
_MOST_KNOWN = 10_000  # labels from which it learns, drawn from more
# scikit-learn's C of the probe that tells which images are uncertain. It is fixed where others are chosen, as it ranks
# images and is in no accuracy; what it proposes was measured, in "What to label next" of docs/benchmarks.md.
_PENALTY = 1.0

Floats = npt.NDArray[np.float32]


def number_of_clusters(rows: int, classes: int) -> int:
    """Return how many clusters `auto` stands for: as many as classes, or by the number of rows if there are none."""
    return classes if classes > 1 else max(1, min(_MOST_AUTO, round(np.sqrt(rows / 2))))


def clusters(rows: Floats, count: int, seed: int) -> tuple[Labels, Floats]:
    """Divide rows of length 1, [N, D], by k-means.

    Returns
    -------
    The cluster of each row, int64 [N], from 0, the largest first; and the cosine distance of each row to the center of
    its cluster, [N]. There are fewer clusters than `count` where fewer rows are different.
    """
    if not len(rows):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # where fewer rows are different
        model = KMeans(min(count, len(rows)), n_init=1, random_state=seed).fit(rows)
    _, cluster, sizes = np.unique(model.labels_, return_inverse=True, return_counts=True)
    place = np.empty(len(sizes), dtype=np.int64)
    place[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    centers = model.cluster_centers_[model.labels_]
    lengths = np.linalg.norm(centers, axis=1)
    cosine = np.einsum("nd,nd->n", rows, centers) / np.where(lengths > 0, lengths, 1)
    return place[cluster], np.clip(1 - cosine, 0, None).astype(np.float32)


def agreement(cluster: Labels, labels: Labels) -> dict[str, Any]:
    """Return how well clusters, [N], agree with the labels, [N], of those rows that have one.

    The adjusted Rand index is 0 by chance and 1 where the two are the same; the mutual information is normalized by the
    mean of both entropies. Both are null without labels of two classes.
    """
    labeled = labeled_rows(labels)
    known = labels[labeled]
    measurable = len(np.unique(known)) > 1
    return {
        "labeled": len(labeled),
        "adjusted_rand_index": float(adjusted_rand_score(known, cluster[labeled])) if measurable else None,
        "normalized_mutual_information": float(normalized_mutual_info_score(known, cluster[labeled]))
        if measurable
        else None,
    }


def order_to_label(rows: Floats, distance: Floats, labels: Labels, count: int, seed: int) -> Rows:
    """Return rows to label next, the first one first: diverse and typical ones.

    The rows are divided into `count` clusters. In turn, each cluster gives the one of its rows without a label, or of
    all its rows if all rows have one, whose neighbors are nearest; clusters with the fewest labels come first, and of
    these the largest.

    Parameters
    ----------
    rows
        [N, D], of length 1.
    distance
        [N], the mean distance of each to its nearest neighbors.
    labels
        int64 [N], -1 where there is none.
    """
    unlabeled = labels < 0
    open_to = unlabeled if unlabeled.any() else np.ones(len(rows), dtype=np.bool_)
    cluster, _ = clusters(rows, count, seed)
    known = np.bincount(cluster[~unlabeled], minlength=cluster.max(initial=-1) + 1)
    candidates = np.flatnonzero(open_to)
    typical = candidates[np.lexsort((distance[candidates], cluster[candidates]))]
    of_cluster = cluster[typical]
    turn = np.arange(len(typical)) - np.searchsorted(of_cluster, of_cluster)
    return np.asarray(typical[np.lexsort((of_cluster, known[of_cluster], turn))][:count], dtype=np.int64)


def can_be_uncertain(labels: Labels) -> bool:
    """Return whether some rows, int64 [N], have a label, of two classes at least, and some have none."""
    known = labels[labeled_rows(labels)]
    return len(known) < len(labels) and len(np.unique(known)) > 1


def uncertain_to_label(features: Floats, rows: Floats, distance: Floats, labels: Labels, count: int, seed: int) -> Rows:
    """Return rows to label next, the most uncertain first: half of twice as many diverse and typical ones.

    Logistic regression on the labels that are there tells how certain each one's likeliest class is; `labels` can be
    uncertain, and the parameters are otherwise those of `order_to_label`, with the features, [N, D], as they are.
    """
    known = labeled_rows(labels)
    if len(known) > _MOST_KNOWN:
        known = stratified_draw(labels, _MOST_KNOWN, seed)
    probe = LinearProbe(features[known][None], labels[known], torch.device("cpu")).fit(_PENALTY)
    order = order_to_label(rows, distance, labels, 2 * count, seed)
    return np.asarray(order[np.argsort(probe.certainty(features[order]), kind="stable")][:count])
