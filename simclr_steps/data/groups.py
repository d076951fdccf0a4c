"""Groups of images, such as those of one patient, and draws that never divide a group."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.machine.time_limit import time_limit
from simclr_steps.settings.base import NO_LABEL

Groups = npt.NDArray[np.str_]  # the name of each row's group, [N]
Counts = npt.NDArray[np.float64]  # rows of each group and label, [G, C]
Mask = npt.NDArray[np.bool_]

_STARTS, _MANY = 4, 1000  # random choices that are improved, of which the best is taken; of many groups one will do
_PAIRS = 2**20  # numbers at once while pairs of groups are tried
_LEAST_GAIN = 1e-9
_MOST_SECONDS = 60.0  # of the search for a pattern
_NAMED = 3  # groups or classes in a sentence


def groups_in(paths: Sequence[str], pattern: str) -> Groups:
    """Return what the one group of a regular expression captures in each path.

    Raises
    ------
    UserError
        When it captures nothing in a path, naming the first, or takes more than a minute, as some patterns never end.
    """
    endless = (
        f"group_pattern: {pattern} takes more than {_MOST_SECONDS:g} s to search: remove repetitions in repetitions"
    )
    with time_limit(_MOST_SECONDS, UserError(endless)):
        found = [re.search(pattern, path) for path in paths]
    names = [(match[1] or "") if match else "" for match in found]
    without = [path for path, name in zip(paths, names, strict=True) if not name]
    if len(without) == len(paths):
        raise UserError(f"group_pattern: {pattern} matches none of the paths, such as {paths[0]}: correct it")
    if without:
        raise UserError(
            f"group_pattern: {pattern} does not match {len(without)} of {len(paths)} paths, such as {without[0]}: "
            "extend it, or remove or rename the images"
        )
    return np.array(names)


def check_given_splits(splits: npt.NDArray[np.str_], groups: Groups) -> None:
    """Raise UserError if a group is in two splits of the source, [N]; train and unlabeled are one, trained on."""
    sides = np.where(splits == "unlabeled", "train", splits)
    names, group = np.unique(groups, return_inverse=True)
    of_group = {side: set(group[sides == side].tolist()) for side in ("train", "validation", "test")}
    parted = {number: [side for side, members in of_group.items() if number in members] for number in range(len(names))}
    parted = {number: found for number, found in parted.items() if len(found) > 1}
    if parted:
        named = [f"{names[number]} in {' and '.join(found)}" for number, found in parted.items()]
        raise UserError(
            f"group: {_counted(len(parted), 'group')} in more than one split ({_listed(named)}): put all images of a "
            "group into one split"
        )


def draw_split(
    split: str, labels: npt.NDArray[np.int64], groups: Groups, share: float, later: int, seed: Sequence[int]
) -> Mask:
    """Return which rows are of the groups that together are nearest to a share of each label, -1 among them.

    How near they are is logged.

    Parameters
    ----------
    split
        What they are drawn for.
    labels
        int64 [N].
    later
        How many splits are drawn after this one from the groups that are left.

    Raises
    ------
    UserError
        When there are fewer groups than splits, or when no class is in two groups.
    """
    count = len(np.unique(groups))
    if count < later + 2:
        raise UserError(
            f"group: {_counted(count, 'group')} too few for {later + 2} splits: add images of more groups, or set "
            "validation_fraction or test_fraction to 0"
        )
    classes = np.unique(labels[labels != NO_LABEL])
    if len(classes) > 1 and len(in_one_group(labels, groups)) == len(classes):
        raise UserError(
            "group: each class is in a single group, so no class can be in both training and evaluation: use groups "
            "that are smaller than a class, or no groups"
        )
    taken = nearest_share(labels, groups, share, seed, most=count - 1 - later)
    of_each = 100 * np.array([taken[labels == label].mean() for label in np.unique(labels)])
    log.info(
        "%s takes %d of %d groups with %.1f %% of the images (asked: %.1f %%), between %.1f and %.1f %% of each class",
        *(split, len(np.unique(groups[taken])), count, 100 * taken.mean(), 100 * share, of_each.min(), of_each.max()),
    )
    return taken


def in_one_group(labels: npt.NDArray[np.int64], groups: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """Return the labels, without -1, that are within one group only: int64 [N], [N] to int64, sorted."""
    labeled = labels != NO_LABEL
    counts, _ = counts_of(labels[labeled], groups[labeled])
    return np.asarray(np.unique(labels[labeled])[(counts > 0).sum(axis=0) == 1])


def nearest_share(
    labels: npt.NDArray[np.int64],
    groups: npt.NDArray[np.generic],
    share: float,
    seed: Sequence[int],
    *,
    most: int,
) -> Mask:
    """Return which rows are of the groups that together are nearest to a share of each label: bool [N].

    At least one group and `most` of them are taken, and no label as a whole if that can be avoided. Nearness is that
    of chi-square; from several random choices on, one or two groups are put in or out as long as that brings it nearer.
    """
    generator = np.random.default_rng(seed)
    counts, group = counts_of(labels, groups)
    found = [_improved(counts, share, most, generator) for _ in range(_STARTS if len(counts) < _MANY else 1)]
    return min(found, key=lambda taken: _distances(counts[taken].sum(axis=0), counts, share))[group]


def counts_of(labels: npt.NDArray[np.int64], groups: npt.NDArray[np.generic]) -> tuple[Counts, npt.NDArray[np.int64]]:
    """Return how many rows each group has of each label that is there, [G, C], and the number of each row's group."""
    names, group = np.unique(groups, return_inverse=True)
    classes, label = np.unique(labels, return_inverse=True)
    cells = np.bincount(group * len(classes) + label, minlength=len(names) * len(classes))
    return cells.reshape(len(names), len(classes)).astype(np.float64), group


def _distances(taken: Counts, counts: Counts, share: float) -> Counts:
    """Return how far rows taken of each label, [..., C], are from the share, [...]; a label taken whole is far."""
    total = counts.sum(axis=0)
    near = ((taken - share * total) ** 2 / total).sum(axis=-1)
    return np.asarray(near + total.sum() * (taken >= total).sum(axis=-1))


def _improved(counts: Counts, share: float, most: int, generator: np.random.Generator) -> Mask:
    """Return a random choice of groups, bool [G], that no change of one or two groups brings nearer to the share.

    It is near enough when no label is a whole row off.
    """
    groups, classes = counts.shape
    aim = share * counts.sum(axis=0)
    taken = np.zeros(groups, dtype=bool)
    taken[generator.permutation(groups)[: min(max(round(share * groups), 1), most)]] = True
    while True:
        sign = np.where(taken, -1, 1)
        change, now = sign[:, None] * counts, counts[taken].sum(axis=0)
        if np.abs(now - aim).max() < 1:
            return taken
        least = _distances(now, counts, share) - _LEAST_GAIN
        one = _distances(now + change, counts, share)
        one[(taken.sum() + sign < 1) | (taken.sum() + sign > most)] = np.inf
        if one.min() < least:
            taken[one.argmin()] ^= True
            continue
        some = generator.permutation(groups)[: int((_PAIRS / classes) ** 0.5)]
        two = _distances(now + change[some, None] + change[some], counts, share)
        size = taken.sum() + sign[some, None] + sign[some]
        two[(size < 1) | (size > most) | np.eye(len(some), dtype=bool)] = np.inf
        if not two.min() < least:
            return taken
        taken[some[list(np.unravel_index(two.argmin(), two.shape))]] ^= True


def by_group(groups: Groups | None, **right: Mask) -> dict[str, dict[str, list[int]]]:
    """Return under `by_group` how many images each group has, and how many of them are right by each measure.

    `right` tells of each image, [N], whether it is; of images without groups nothing is returned.
    """
    if groups is None:
        return {}
    group = np.unique(groups, return_inverse=True)[1]
    counts = {name: np.bincount(group[rows], minlength=group.max() + 1).tolist() for name, rows in right.items()}
    return {"by_group": {"images": np.bincount(group).tolist(), **counts}}


def _counted(count: int, what: str) -> str:
    return f"1 {what} is" if count == 1 else f"{count} {what}s are"


def _listed(names: Sequence[str]) -> str:
    more = f", and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
