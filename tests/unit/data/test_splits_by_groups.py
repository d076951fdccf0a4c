"""Splits and budgets of labels take groups whole."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from simclr_steps.data.packed import read_split
from simclr_steps.data.splits import assign_splits, stratified_draw
from simclr_steps.evaluation.neighbors import knn_accuracy
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.labels import WholeGroups
from tests.unit.data.test_groups import patients, prepared, table

NO_SPLITS = {"validation_fraction": 0.0, "test_fraction": 0.0}


def test_a_group_in_two_given_splits_is_an_error_that_names_three() -> None:
    splits = np.array(["train", "test"] * 5 + ["unlabeled", "train", "validation"])
    groups = np.array(["a", "a", "b", "b", "c", "c", "d", "d", "e", "f", "g", "g", "f2"])
    options: dict[str, Any] = {"subset": None, "seed": 0, **NO_SPLITS}
    said = (
        "^group: 4 groups are in more than one split .a in train and test, b in train and test, c in train and test, "
    )
    with pytest.raises(UserError, match=said + "and 1 more.: put all"):
        assign_splits(splits, np.zeros(13, np.int64), groups=groups, **options)
    assigned = assign_splits(splits[8:], np.zeros(5, np.int64), groups=groups[8:], **options)
    assert assigned.tolist() == np.where(splits == "unlabeled", "train", splits)[8:].tolist(), "both are trained on"


def assigned(labels: list[int], groups: list[str], **changed: Any) -> list[str]:
    options: dict[str, Any] = {"validation_fraction": 0.1, "test_fraction": 0.2, "subset": None, "seed": 0, **changed}
    splits = assign_splits(
        np.array(["train"] * len(labels)), np.array(labels, dtype=np.int64), groups=np.array(groups), **options
    )
    names: list[str] = splits.tolist()
    return names


def test_fewer_groups_than_splits_are_an_error_and_as_many_are_one_for_each() -> None:
    with pytest.raises(UserError, match=r"^group: 2 groups are too few for 3 splits: add .* or set validation_fr"):
        assigned([0, 1] * 6, ["a"] * 6 + ["b"] * 6)
    with pytest.raises(UserError, match=r"^group: 1 group is too few for 2 splits"):
        assigned([0, 1] * 6, ["a"] * 12, test_fraction=0.0)
    for seed in range(10):
        splits = assigned([0, 1] * 9, ["a"] * 14 + ["b"] * 2 + ["c"] * 2, seed=seed)
        assert splits[0] == "train" and {splits[14], splits[16]} == {"validation", "test"}


def test_classes_that_are_the_groups_are_an_error_and_one_of_them_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(UserError, match=r"^group: each class is in a single group, so no class can be in both"):
        assigned([0] * 5 + [1] * 5 + [2] * 5, ["a"] * 5 + ["b"] * 5 + ["c"] * 5)
    rows = [*patients(20), *({"label": "rare", "group": "p1, a"} for _ in range(3))]
    prepared(table(tmp_path / "photos", rows), tmp_path / "packed")
    assert 'labels: each of these classes is in a single group ("rare"), so it cannot' in caplog.text
    assert pd.read_parquet(tmp_path / "packed/train.rows.parquet")["label"].eq("rare").sum() == 3, (
        "it is learned, not judged"
    )


def test_an_unlabeled_image_goes_where_its_group_goes() -> None:
    labels, groups = [0, 1, -1] * 20, [f"g{number // 3}" for number in range(60)]
    splits = assigned(labels, groups)
    for group in set(groups):
        sides = {
            split if split != "unlabeled" else "train"
            for split, name in zip(splits, groups, strict=True)
            if name == group
        }
        assert len(sides) == 1
    assert [splits.count(split) for split in ("test", "validation")] == [12, 6]


def test_a_budget_of_groups_takes_them_whole_with_each_class_and_less_is_part_of_more() -> None:
    generator = np.random.default_rng(0)
    groups = generator.permutation(np.repeat(np.arange(30), 10)).astype(np.str_)
    of_group = np.repeat([0, 1, 2, -1], [20, 6, 2, 2])  # and three images of a class that only group 5 has
    labels = of_group[groups.astype(int)]
    labels[np.flatnonzero(groups == "5")[:3]] = 3
    first = set()
    for seed in range(5):
        draws = [stratified_draw(labels, WholeGroups(groups=count), seed, groups) for count in range(4, 29)]
        for count, rows in enumerate(draws, start=4):
            names = set(groups[rows])
            assert len(names) == count and set(labels[rows]) == {0, 1, 2, 3}
            assert np.array_equal(rows, np.flatnonzero(np.isin(groups, list(names)) & (labels >= 0)))
        assert all(set(smaller) < set(larger) for smaller, larger in pairwise(draws))
        of_class = np.bincount(of_group[np.unique(groups[draws[10]]).astype(int)])
        assert np.abs(of_class - 14 * np.array([20, 6, 2]) / 28).max() <= 1.5, "each class's groups in their share"
        first.add(tuple(draws[0]))
    assert len(first) == 5
    with pytest.raises(UserError, match=r"^labels: {groups: 29} exceeds the 28 groups with labels: use fewer"):
        stratified_draw(labels, WholeGroups(groups=29), 0, groups)
    with pytest.raises(UserError, match=r"^labels: {groups: 2} takes groups that lack some of the 4 classes: use more"):
        stratified_draw(labels, WholeGroups(groups=2), 0, groups)
    with pytest.raises(
        UserError, match=r"^labels: {groups: 5} needs groups, which the images lack: add a column group"
    ):
        stratified_draw(labels, WholeGroups(groups=5), 0)


def test_with_groups_ignored_an_accuracy_is_inflated_and_with_groups_it_is_chance(tmp_path: Path) -> None:
    """The images of a group are near copies of one, and its label is random: there is nothing to learn."""
    generator = np.random.default_rng(1)
    of_group = generator.integers(30, 225, size=(60, 8, 8))
    group = np.repeat(np.arange(60), 8)
    images = (of_group[group] + generator.integers(-20, 21, size=(480, 8, 8))).astype(np.uint8)
    label = generator.permutation(np.arange(60) % 2)[group]
    rows = [{"label": f"c{label[row]}", "group": f"g{group[row]}"} for row in range(480)]

    def accuracy(named: str, rows: list[dict[str, str]]) -> float:
        prepared(table(tmp_path / named, rows, images), tmp_path / f"packed-{named}", test_fraction=0.4)
        train, test = (read_split(tmp_path / f"packed-{named}", split) for split in ("train", "test"))
        pixels = [split.images.reshape(len(split), -1).astype(np.float32) - 127 for split in (train, test)]
        return knn_accuracy(pixels[0], train.labels, pixels[1], test.labels, 1)

    assert accuracy("ignored", [{"label": row["label"]} for row in rows]) > 0.95
    assert 0.25 < accuracy("kept", rows) < 0.75
