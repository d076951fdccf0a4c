"""The penalty of logistic regression, chosen from seven values without looking at the test split."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from simclr_steps.data.groups import Groups, in_one_group, nearest_share
from simclr_steps.data.splits import Labels, Rows
from simclr_steps.evaluation.calibration import calibrated_cross_entropy
from simclr_steps.evaluation.linear_probe import Array, LinearProbe

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)  # values of scikit-learn's C, rising; see docs/benchmarks.md
_MIDDLE = len(PENALTIES) // 2
_FOLDS = 5
_MOST_JUDGED = 10_000  # images in cross-validation, whose logits are held at once

HoldOut = tuple[Array, Labels]  # features [M, D] and labels, int64 [M]


def choose_penalty(
    views: Array,
    plain: Array,
    labels: Labels,
    hold_out: HoldOut | None,
    device: torch.device,
    groups: Groups | None = None,
) -> tuple[float, LinearProbe]:
    """Return the value of C for the hold-out or, without one, for 5-fold cross-validation, and its probe.

    It is the value whose probe has the least cross entropy there at its own best temperature: that judges by every
    image, where accuracies of few images differ by chance, and not by how sure the probe is, which changes no guess.
    Images of classes that were not learned judge nothing. Without a hold-out it is the value in the middle if a class
    has a single label, or labels of a single group, which cannot be both learned and judged.

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
    if hold_out and (known := np.isin(hold_out[1], labels)).any():
        features, expected = hold_out[0][known], hold_out[1][known]
        probes = _fits(views, labels, device)
        best = _best((probe.logits(features, np.unique(labels)) for probe in probes), labels, expected)
        return PENALTIES[best], probes[best]
    best = _cross_validated(views, plain, labels, groups, device) if _can_be_judged(labels, groups) else _MIDDLE
    return PENALTIES[best], LinearProbe(views, labels, device).fit(PENALTIES[best])


def _fits(views: Array, labels: Labels, device: torch.device) -> list[LinearProbe]:
    """Return a probe for each penalty."""
    probe = LinearProbe(views, labels, device)
    return [probe.fit(penalty).kept() for penalty in PENALTIES]


def _cross_validated(views: Array, plain: Array, labels: Labels, groups: Groups | None, device: torch.device) -> int:
    """Return the place of the penalty whose probes of all folds together have the least cross entropy."""
    fold, step = _folds(labels, groups), len(labels) // _MOST_JUDGED + 1
    logits, judged = [], []
    for number in np.unique(fold):
        kept = fold != number
        rows = np.flatnonzero(~kept & np.isin(labels, labels[kept]))[::step]
        if len(rows) and len(np.unique(labels[kept])) > 1:
            probes = _fits(views[:, kept], labels[kept], device)
            logits.append([probe.logits(plain[rows], np.unique(labels)) for probe in probes])
            judged.append(labels[rows])
    return _best(np.concatenate(logits, axis=1), labels, np.concatenate(judged)) if judged else _MIDDLE


def _best(of_penalties: Iterable[Array], labels: Labels, expected: Labels) -> int:
    """Return the place of the penalty whose logits, [M, C], have the least cross entropy at their best temperature."""
    targets = torch.from_numpy(np.searchsorted(np.unique(labels), expected))
    return int(np.argmin([calibrated_cross_entropy(torch.from_numpy(logits), targets) for logits in of_penalties]))


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
