"""Labels that are likely wrong, by the labels of the nearest other images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from simclr_steps.data.csv_text import as_list
from simclr_steps.data.groups import in_one_group
from simclr_steps.data.several_splits import SeveralSplits
from simclr_steps.data.splits import Labels, labeled_rows
from simclr_steps.evaluation.neighbors import nearest
from simclr_steps.evaluation.similar_rows import directions

Floats = npt.NDArray[np.float32]

_TEMPERATURE = 0.07  # of a vote, as in the kNN accuracy of Wu et al., 2018


@dataclass(frozen=True)
class JudgedLabels:
    """What the nearest other images say of each label, [N]."""

    score: Floats  # from 0 to 1, the larger the more likely the label is wrong; NaN where it cannot be judged
    doubtful: npt.NDArray[np.bool_]  # whether another class is likely enough to say that the label looks wrong
    prediction: Labels  # the class with most votes, -1 where the label cannot be judged
    probability: Floats  # its share of the votes
    neighbors: npt.NDArray[np.int64]  # the rows that voted, nearest first, [N, K]; -1 where there are fewer


def judge_labels(
    rows: Floats, labels: Labels, neighbors: int, groups: npt.NDArray[np.generic] | None = None
) -> JudgedLabels:
    """Judge the label of each row, int64 [N], by the nearest other rows, [N, D], without its own.

    No row votes for itself or for one of its group, so that this is cross-validation with a fold for each row or group.
    A vote weighs exp(cosine / 0.07). With p the share of the votes of a class, the score is one minus the normalized
    margin, (1 - p[label] + the largest other p) / 2. As in confident learning (Northcutt et al., "Confident Learning:
    Estimating Uncertainty in Dataset Labels", 2021), a class is likely enough if its p is at least the mean p[label] of
    the rows labeled so, and a label is doubtful if the likeliest of these classes is another, and the label itself is
    not the likeliest of all.

    The label of a class that is within one row or group cannot be judged, as no other row could vote for it, nor can
    one on which no row votes.
    """
    count = len(labels)
    own_group = np.arange(count) if groups is None else np.unique(groups, return_inverse=True)[1]
    found, distances = nearest(rows, rows, neighbors, apart=own_group)
    indices, far = found.numpy(), distances.numpy().astype(np.float64)
    voting = np.isfinite(far)
    weights = np.exp((far.min(axis=1, keepdims=True, initial=2) - far) / _TEMPERATURE)  # all larger by one factor
    weights = np.where(voting, weights, 0)
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-300)
    voted = labels[indices]
    share = np.empty(voted.shape, dtype=np.float32)  # of the votes, of the class of each neighbor
    for place in range(voted.shape[1]):
        share[:, place] = (weights * (voted == voted[:, place : place + 1])).sum(axis=1)
    of_own = (weights * (voted == labels[:, None])).sum(axis=1).astype(np.float32)
    of_others = np.where(voted == labels[:, None], np.float32(0), share)
    known, number, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    usual = np.bincount(number, of_own) / sizes
    likely = np.where(voting & (share >= usual[np.searchsorted(known, voted)]), share, 0)
    likeliest, voted_for = _first_of_most(voted, likely), _first_of_most(voted, share)
    judged = voting.any(axis=1) & ~np.isin(labels, in_one_group(labels, own_group))
    return JudgedLabels(
        score=np.where(judged, (1 - of_own + of_others.max(axis=1, initial=0)) / 2, np.nan).astype(np.float32),
        doubtful=judged & (likely.max(axis=1, initial=0) > 0) & (likeliest != labels) & (voted_for != labels),
        prediction=np.where(judged, voted_for, -1),
        probability=np.where(judged, share.max(axis=1, initial=0), np.nan).astype(np.float32),
        neighbors=np.where(voting, indices, -1),
    )


def mistakes_table(
    known: SeveralSplits, features: npt.NDArray[np.float32], classes: list[str], neighbors: int
) -> pd.DataFrame:
    """Return the labeled images whose label can be judged, likely wrong ones first: those that look wrong, by score.

    Takes the images of several splits and their features, [N, D], which are seen from the mean of those with a label.
    """
    labeled = labeled_rows(known.labels)  # none of the test split
    groups = None if known.groups is None else known.groups[labeled]
    found = judge_labels(directions(features[labeled]), known.labels[labeled], neighbors, groups)
    order = np.lexsort((-found.score, ~found.doubtful))
    order = order[~np.isnan(found.score[order])]
    table = known.table.iloc[labeled[order]]
    source, name = (known.table[column].to_numpy()[labeled] for column in ("source", "class"))
    voters = [[int(one) for one in of_one if one >= 0] for of_one in found.neighbors[order]]
    table = table.assign(
        score=found.score[order],
        looks_wrong=found.doubtful[order],
        prediction=[classes[label] for label in found.prediction[order]],
        probability=found.probability[order],
        neighbors=[as_list(source[of_one]) for of_one in voters],
        neighbor_classes=[as_list(name[of_one]) for of_one in voters],
    )
    columns = ["score", "looks_wrong", *(name for name in table if name not in ("score", "looks_wrong"))]
    return table[columns]


def _first_of_most(voted: Labels, share: Floats) -> Labels:
    """Return the class with the largest share, int64 [N], of those that neighbors have, [N, K]; of ties the nearest."""
    if not voted.shape[1]:
        return np.full(len(voted), -1, dtype=np.int64)
    return np.asarray(np.take_along_axis(voted, share.argmax(axis=1)[:, None], axis=1)[:, 0], dtype=np.int64)
