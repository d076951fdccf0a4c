"""The penalty of logistic regression, chosen from five values without looking at the test split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from simclr_steps.data.groups import Groups, in_one_group, nearest_share
from simclr_steps.data.splits import Labels, Rows
from simclr_steps.evaluation.linear_probe import Array, LinearProbe

PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)  # values of scikit-learn's C, rising; see docs/benchmarks.md
_MIDDLE = len(PENALTIES) // 2
_FOLDS = 5
_ROUNDING = 1e-9  # of accuracies that are equal

HoldOut = tuple[Array, Labels]  # features [M, D] and labels, int64 [M]
_PerImage = npt.NDArray[np.float64]


def choose_penalty(
    views: Array,
    plain: Array,
    labels: Labels,
    hold_out: HoldOut | None,
    device: torch.device,
    groups: Groups | None = None,
) -> tuple[float, LinearProbe]:
    """Return the value of C for the hold-out or, without one, for 5-fold cross-validation, and its probe.

    Of the values that are nearly as accurate there as the best, within half a standard error of an accuracy, it is the
    one with the least mean cross entropy: accuracies of few images differ by chance, and every image contributes to the
    entropy. Neighboring values count, too, in accuracies, half as much each. Without a hold-out it is the value in the
    middle if a class has a single label, or labels of a single group, which cannot be both learned and judged.

    Parameters
    ----------
    views
        float32 [V, N, D], features of V views of the N training images.
    plain
        float32 [N, D], features of these images themselves, on which cross-validation judges.
    labels
        int64 [N], of at least two classes.
    groups
        [N], the name of each image's group, where they have any: no group is both learned and judged.
    """
    if hold_out:
        probes = _fits(views, labels, device)
        best = _best(*_judged(probes, *hold_out))
        return PENALTIES[best], probes[best]
    best = _MIDDLE
    if _can_be_judged(labels, groups):
        fold = _folds(labels, groups)
        judgments = []
        for number in np.unique(fold):
            kept, judged = fold != number, fold == number
            if len(np.unique(labels[kept])) > 1:
                judgments.append(_judged(_fits(views[:, kept], labels[kept], device), plain[judged], labels[judged]))
        if judgments:
            right, cost = (np.concatenate(of_folds, axis=1) for of_folds in zip(*judgments, strict=True))
            best = _best(right, cost)
    return PENALTIES[best], LinearProbe(views, labels, device).fit(PENALTIES[best])


def _fits(views: Array, labels: Labels, device: torch.device) -> list[LinearProbe]:
    """Return a probe for each penalty."""
    probe = LinearProbe(views, labels, device)
    return [probe.fit(penalty).kept() for penalty in PENALTIES]


def _judged(probes: Sequence[LinearProbe], features: Array, labels: Labels) -> tuple[_PerImage, _PerImage]:
    """Return for each probe and image: classified correctly, 0 or 1, and its cross entropy, both [P, M]."""
    right = np.array([probe.right(features, labels) for probe in probes], dtype=np.float64)
    return right, np.array([probe.cross_entropy(features, labels) for probe in probes])


def _best(right: _PerImage, cost: _PerImage) -> int:
    """Return the place of the penalty with the least cost, of those that are nearly as accurate as the best."""
    accuracy = np.convolve(np.pad(right.mean(axis=1), 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
    standard_error = np.sqrt(accuracy.max() * (1 - accuracy.max()) / right.shape[1])
    near = accuracy > accuracy.max() - standard_error / 2 - _ROUNDING
    return int(np.where(near, cost.mean(axis=1), np.inf).argmin())


def _can_be_judged(labels: Labels, groups: Groups | None) -> bool:
    """Return whether no class is within one row or group."""
    if groups is None:
        return bool(np.unique(labels, return_counts=True)[1].min() > 1)
    return not len(in_one_group(labels, groups))


def _folds(labels: Labels, groups: Groups | None) -> Rows:
    """Return the fold of each row, int64 [N]: each class is dealt out evenly, so that none is in one fold only.

    Groups are dealt out whole, each fold being the nearest to its share of what is left; of few there are fewer folds.
    """
    fold = np.full(len(labels), _FOLDS - 1, dtype=np.int64)
    if groups is None:
        fold[np.argsort(labels, kind="stable")] = np.arange(len(labels)) % _FOLDS
        return fold
    left = np.arange(len(labels))
    for number in range(_FOLDS - 1):
        count = len(np.unique(groups[left]))
        if count > 1:
            share = 1 / (_FOLDS - number)
            taken = nearest_share(labels[left], groups[left], share, (0, number), most=count - 1)
            fold[left[taken]] = number
            left = left[~taken]
    return fold
