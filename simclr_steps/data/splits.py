"""Draw rows of a data set: shares of each class, seeded, and the same whatever else is drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from simclr_steps.data.groups import Groups, check_given_splits, counts_of, draw_split
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.base import NO_LABEL, SPLITS
from simclr_steps.settings.datasets import DatasetBlock
from simclr_steps.settings.labels import PerClass, WholeGroups

JUDGED = ("validation", "test")  # the splits that results are measured on
_SHARE_WHILE_TRAINING, _FEWEST_WHILE_TRAINING, _MOST_WHILE_TRAINING = 10, 256, 2048  # of the hold-out's images

Labels = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int64]
SplitNames = npt.NDArray[np.str_]
Seed = int | Sequence[int]


def labeled_rows(labels: Labels) -> Rows:
    """Return the rows that have a label: int64 [N] to int64, sorted."""
    return np.flatnonzero(labels != NO_LABEL)


def stratified_draw(
    labels: Labels, budget: float | int | PerClass | WholeGroups, seed: Seed, groups: Groups | None = None
) -> Rows:
    """Draw labeled rows so that each class has its share, and at least one; the same number of each; or whole groups.

    For one seed a smaller draw is part of every larger one of its kind.

    Parameters
    ----------
    labels
        int64 [N], -1 where there is no label, which is never drawn.
    budget
        A whole number of rows, as a float a fraction of the labeled rows but at least one of each class, a number of
        each class, or a number of groups, which together have each class.
    groups
        [N], the name of each row's group, where they have any.

    Returns
    -------
    The drawn rows, int64, sorted.

    Raises
    ------
    UserError
        If there are fewer rows to draw than classes, or more than are available.
    """
    labeled = labeled_rows(labels)
    if isinstance(budget, WholeGroups):
        if groups is None:
            raise UserError(
                f"labels: {budget} needs groups, which the images lack: add a column group, or group_pattern"
            )
        return labeled[_drawn_groups(labels[labeled], groups[labeled], budget, seed)]
    order = labeled[_order_of_draw(labels[labeled], seed, each_class_first=True)]
    sizes = np.unique(labels[labeled], return_counts=True)[1]
    classes = len(sizes)
    if isinstance(budget, PerClass):
        least = sizes.min() if classes else 0
        if budget.per_class > least:
            raise UserError(
                f"labels: {budget.per_class} per class exceeds the {least} labels of the smallest class: use fewer"
            )
        return np.sort(order[_number_in_class(labels[order]) < budget.per_class])
    count = max(round(budget * len(labeled)), classes) if isinstance(budget, float) else budget
    if count < classes or count < 1:
        raise UserError(
            f"labels: {budget} gives {count} of {len(labeled)} labels, too few for {classes} classes: use more"
        )
    if count > len(labeled):
        raise UserError(f"labels: {budget} exceeds the {len(labeled)} available labels: use fewer")
    return np.sort(order[:count])


def _drawn_groups(labels: Labels, groups: Groups, budget: WholeGroups, seed: Seed) -> npt.NDArray[np.bool_]:
    """Return which rows are of the drawn groups: int64 [N], [N] to bool [N].

    First come groups that add a class, then the others, each class's in its share; a group counts as of the class
    that most of its rows have.
    """
    counts, group = counts_of(labels, groups)
    if budget.groups > len(counts):
        raise UserError(f"labels: {budget} exceeds the {len(counts)} groups with labels: use fewer")
    order = _order_of_draw(counts.argmax(axis=1), seed, each_class_first=True)
    first, seen = [], np.zeros(counts.shape[1], dtype=bool)
    for number in order:
        if (counts[number] > 0)[~seen].any():
            first.append(number)
            seen |= counts[number] > 0
    drawn = np.concatenate([first, order[~np.isin(order, first)]])[: budget.groups].astype(np.int64)
    if not counts[drawn].sum(axis=0).all():
        raise UserError(f"labels: {budget} takes groups that lack some of the {len(seen)} classes: use more")
    return np.isin(group, drawn)


def _number_in_class(labels: Labels) -> Rows:
    """Return the number of each row among those of its label, from 0: int64 [N] to int64 [N]."""
    _, group, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    number = np.empty(len(labels), dtype=np.int64)
    number[np.argsort(group, kind="stable")] = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return number


def proportional_draw(labels: Labels, count: int, seed: Seed) -> Rows:
    """Draw `count` rows so that each label, including -1, has its share, possibly 0: int64 [N] to int64, sorted."""
    return np.sort(_order_of_draw(labels, seed, each_class_first=False)[:count])


def drawn_while_training(labels: Labels, trained_on: int, seed: Seed) -> Rows:
    """Return the rows of a hold-out that are judged while a training runs whose epochs are of `trained_on` images.

    These are a tenth as many, at least 256 and at most 2,048, or all if there are no more, so that an epoch spends its
    time on training. Each label, -1 among them, has its share: int64 [N] to int64, sorted.
    """
    count = min(max(trained_on // _SHARE_WHILE_TRAINING, _FEWEST_WHILE_TRAINING), _MOST_WHILE_TRAINING)
    return proportional_draw(labels, count, seed)


def epochs_between_judgments(judged: int, trained_on: int) -> int:
    """Return every how many epochs of `trained_on` images the hold-out is judged, on about a tenth as many.

    Epochs of few images would otherwise spend their time on the fewest that are judged.
    """
    return max(1, round(_SHARE_WHILE_TRAINING * judged / trained_on))


def assign_splits(
    splits: SplitNames,
    labels: Labels,
    *,
    validation_fraction: float,
    test_fraction: float,
    subset: int | None,
    seed: int,
    groups: Groups | None = None,
) -> SplitNames:
    """Return the split of every row, "" for a row that is left out.

    Images to train on are in train, with a label or without. Where the source has no test split, it is drawn from those
    with a label, or from all if none has one; and where it has no validation split, that is drawn from all of them,
    labeled and unlabeled ones in proportion. Groups are drawn whole, with their unlabeled images. A subset is taken of
    each split, and of the unlabeled images as if they were a split.

    Parameters
    ----------
    splits
        [N], the split of each row in the source, train where it names none.
    labels
        int64 [N].
    groups
        [N], the name of each row's group.

    Raises
    ------
    UserError
        When a split would take every image, or when a group is in two splits of the source.
    """
    if groups is not None:
        check_given_splits(splits, groups)
    assigned = splits.astype(f"<U{max(map(len, SPLITS))}")
    if len(labeled_rows(labels[splits == "train"])):
        assigned[(splits == "train") & (labels == NO_LABEL)] = "unlabeled"
    else:
        assigned[splits == "unlabeled"] = "train"
    drawn = [("test", test_fraction, ["train"]), ("validation", validation_fraction, ["train", "unlabeled"])]
    wanted = [fraction > 0 and split not in splits for split, fraction, _ in drawn]
    for number, (split, fraction, drawn_from) in enumerate(drawn):
        rows = np.flatnonzero(np.isin(assigned, drawn_from))
        if not wanted[number] or not len(rows):
            continue
        if groups is not None:
            later = sum(wanted[number + 1 :])
            taken = rows[draw_split(split, labels[rows], groups[rows], fraction, later, (seed, number))]
            assigned[np.isin(groups, groups[taken]) & np.isin(assigned, ["train", "unlabeled"])] = split
        else:
            count = max(1, round(fraction * len(rows)))
            if count == len(rows):
                raise UserError(f"{split}_fraction: {fraction} of {len(rows)} images leaves none to train on: lower it")
            assigned[rows[proportional_draw(labels[rows], count, (seed, number))]] = split
    if subset is not None:
        for split in np.unique(assigned):
            rows = np.flatnonzero(assigned == split)
            left_out = np.ones(len(rows), dtype=bool)
            left_out[proportional_draw(labels[rows], subset, (seed, 2))] = False
            assigned[rows[left_out]] = ""
    assigned[assigned == "unlabeled"] = "train"
    return assigned


def assigned_splits(dataset: DatasetBlock, splits: SplitNames, labels: Labels, groups: Groups | None) -> SplitNames:
    """Return `assign_splits` of a source's rows, as its block in the config says."""
    return assign_splits(
        splits,
        labels,
        validation_fraction=dataset.validation_fraction,
        test_fraction=dataset.test_fraction,
        subset=dataset.subset,
        seed=dataset.split_seed,
        groups=groups,
    )


def rows_of_split(split: str, labels: Labels) -> Rows:
    """Return which rows of an array, given its labels, int64 [N], are meant by the name of a split.

    Train and unlabeled share an array: unlabeled are its rows without a label, and train the others, or all if none has
    a label.
    """
    labeled = labels != NO_LABEL
    if split not in ("train", "unlabeled"):
        return np.arange(len(labels))
    return np.flatnonzero((labeled | ~labeled.any()) == (split == "train"))


def _order_of_draw(labels: Labels, seed: Seed, *, each_class_first: bool) -> Rows:
    """Return all rows in an order of which every beginning gives each class its share.

    Shares are those of Sainte-Laguë's method (Webster's): the k-th row of a class of n rows, k from 0, comes at
    (k + 1/2) / n. Unlike the largest-remainder method it never takes a row back when more are drawn. Rows within a
    class, and classes at the same place, are in random order.
    """
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(len(labels))
    _, group, sizes = np.unique(labels[shuffled], return_inverse=True, return_counts=True)
    number = _number_in_class(group)
    place = (number + 0.5) / sizes[group]
    if each_class_first:
        place[number == 0] = 0
    chance = generator.permutation(len(sizes))[group]
    return np.asarray(shuffled[np.lexsort((chance, place))], dtype=np.int64)
