from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from simclr_steps.data.splits import (
    assign_splits,
    drawn_while_training,
    epochs_between_judgments,
    proportional_draw,
    rows_of_split,
    stratified_draw,
)
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.base import SPLITS
from simclr_steps.settings.labels import PerClass


def unequal_labels() -> np.ndarray:
    labels = np.repeat(np.arange(5), [400, 250, 120, 25, 5])
    with_gaps = np.concatenate([labels, np.full(100, -1)])
    return np.random.default_rng(7).permutation(with_gaps).astype(np.int64)


def test_a_row_without_a_label_is_never_drawn() -> None:
    labels = unequal_labels()
    drawn = stratified_draw(labels, 1.0, seed=3)
    assert np.array_equal(drawn, np.flatnonzero(labels >= 0))


@pytest.mark.parametrize("count", [50, 200, 400, 777])
def test_each_class_has_its_share(count: int) -> None:
    labels = unequal_labels()
    drawn = stratified_draw(labels, count, seed=1)
    assert len(drawn) == count == len(set(drawn))
    shares = np.bincount(labels[drawn], minlength=5)
    exact = np.array([400, 250, 120, 25, 5]) * count / 800
    assert np.abs(shares - exact).max() <= 1


def test_classes_of_one_size_get_equal_shares() -> None:
    labels = np.tile(np.arange(10), 37).astype(np.int64)
    assert np.bincount(labels[stratified_draw(labels, 40, seed=0)]).tolist() == [4] * 10


def test_the_smallest_draw_has_one_row_of_each_class() -> None:
    labels = unequal_labels()
    assert np.sort(labels[stratified_draw(labels, 5, seed=2)]).tolist() == [0, 1, 2, 3, 4]


def test_a_smaller_draw_is_part_of_every_larger_one() -> None:
    labels = unequal_labels()
    draws = [set(stratified_draw(labels, count, seed=5).tolist()) for count in range(5, 801)]
    assert all(smaller < larger for smaller, larger in pairwise(draws))


def test_the_requested_number_of_each_class_is_drawn_whatever_their_sizes() -> None:
    labels = unequal_labels()
    draws = [stratified_draw(labels, PerClass(per_class=count), seed=5) for count in range(1, 6)]
    for count, rows in enumerate(draws, start=1):
        assert np.bincount(labels[rows]).tolist() == [count] * 5
    assert all(set(smaller) < set(larger) for smaller, larger in pairwise(draws))
    assert np.array_equal(draws[0], stratified_draw(labels, 5, seed=5))
    with pytest.raises(UserError, match="^labels: 6 per class exceeds the 5 labels of the smallest class: use fewer"):
        stratified_draw(labels, PerClass(per_class=6), seed=5)


def test_a_fraction_is_of_the_labeled_rows() -> None:
    labels = unequal_labels()
    assert np.array_equal(stratified_draw(labels, 0.25, seed=5), stratified_draw(labels, 200, seed=5))


def test_only_the_seed_determines_the_draw() -> None:
    labels = unequal_labels()
    assert np.array_equal(stratified_draw(labels, 99, seed=4), stratified_draw(labels, 99, seed=4))
    assert not np.array_equal(stratified_draw(labels, 99, seed=4), stratified_draw(labels, 99, seed=5))


def test_drawn_rows_are_sorted_and_int64() -> None:
    drawn = stratified_draw(unequal_labels(), 300, seed=0)
    assert drawn.dtype == np.int64
    assert (np.diff(drawn) > 0).all()


@pytest.mark.parametrize("wanted", [4, 801])
def test_too_few_and_too_many_labels_are_the_users_mistake(wanted: float) -> None:
    with pytest.raises(UserError, match=r"^labels: "):
        stratified_draw(unequal_labels(), wanted, seed=0)


def test_a_fraction_gives_each_class_at_least_one_label() -> None:
    labels = unequal_labels()
    assert np.sort(labels[stratified_draw(labels, 0.001, seed=0)]).tolist() == [0, 1, 2, 3, 4]


def test_no_labels_at_all_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match=r"^labels: "):
        stratified_draw(np.full(9, -1, dtype=np.int64), 1.0, seed=0)
    with pytest.raises(UserError, match=r"^labels: "):
        stratified_draw(np.full(9, -1, dtype=np.int64), PerClass(per_class=1), seed=0)


def test_a_proportional_draw_can_be_smaller_than_the_number_of_classes() -> None:
    assert len(proportional_draw(unequal_labels(), 3, seed=0)) == 3


def assign(splits: list[str], labels: list[int] | np.ndarray, **changed: object) -> list[str]:
    options: dict[str, object] = {"validation_fraction": 0.1, "test_fraction": 0.2, "subset": None, "seed": 0}
    options.update(changed)
    assigned = assign_splits(np.array(splits), np.array(labels, dtype=np.int64), **options)  # type: ignore[arg-type]
    names: list[str] = assigned.tolist()
    return names


def test_test_and_validation_are_drawn_from_training_stratified() -> None:
    labels = np.repeat([0, 1], [300, 100])
    assigned = np.array(assign(["train"] * 400, labels))
    assert {split: np.bincount(labels[assigned == split]).tolist() for split in np.unique(assigned)} == {
        "test": [60, 20],
        "validation": [24, 8],
        "train": [216, 72],
    }


def test_splits_that_the_source_brings_are_left_as_they_are() -> None:
    splits = ["test", "train", "validation", "unlabeled"] * 5
    assert assign(splits, [0, 1, -1, -1] * 5) == ["test", "train", "validation", "train"] * 5


def test_train_and_unlabeled_are_one_split_whose_rows_have_two_names() -> None:
    fractions = {"validation_fraction": 0.0, "test_fraction": 0.0}
    assert assign(["train", "train", "test", "unlabeled"], [0, -1, -1, -1], **fractions) == [
        *("train", "train", "test", "train")
    ]
    labels = np.array([0, -1, 1, -1])
    assert [rows_of_split(split, labels).tolist() for split in SPLITS] == [[0, 2], [0, 1, 2, 3], [0, 1, 2, 3], [1, 3]]
    assert rows_of_split("train", 0 * labels - 1).tolist() == [0, 1, 2, 3], "all where none has a label"
    assert rows_of_split("unlabeled", 0 * labels - 1).tolist() == []


def test_the_hold_out_is_drawn_from_labeled_and_unlabeled_images_in_proportion() -> None:
    splits, labels = ["train"] * 100 + ["unlabeled"] * 300, np.array([0, 1] * 50 + [-1] * 300)
    assigned = np.array(assign(splits, labels, test_fraction=0.0))
    held_out = labels[assigned == "validation"]
    assert [(held_out == label).sum() for label in (0, 1, -1)] == [5, 5, 30]
    assert (labels[assigned == "train"] >= 0).sum() == 90


def test_a_few_labels_among_many_images_leave_a_hold_out_of_the_promised_size() -> None:
    assigned = assign(["train"] * 50, [0, 1] * 5 + [-1] * 40)
    assert {split: assigned.count(split) for split in set(assigned)} == {
        "test": 2,
        "validation": 5,
        "train": 43,
    }


@pytest.mark.parametrize("split", ["train", "unlabeled"])
def test_labels_of_the_test_split_alone_leave_unlabeled_images_to_train_on(split: str) -> None:
    assigned = assign([split] * 60 + ["test"] * 20, [-1] * 60 + [0, 1] * 10)
    assert {name: assigned.count(name) for name in set(assigned)} == {"train": 54, "validation": 6, "test": 20}


def test_without_any_label_all_images_are_split_at_random() -> None:
    assigned = assign(["train"] * 50 + ["unlabeled"] * 50, [-1] * 100)
    assert {split: assigned.count(split) for split in set(assigned)} == {"train": 72, "validation": 8, "test": 20}


def test_a_small_hold_out_has_one_image_and_leaves_a_single_image_of_a_class_to_training() -> None:
    labels = np.array([0] * 8 + [1])
    for seed in range(20):
        assigned = np.array(assign(["train"] * 9, labels, test_fraction=0.0, validation_fraction=0.01, seed=seed))
        assert (assigned == "validation").sum() == 1
        assert assigned[8] == "train"


def test_a_hold_out_of_everything_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="validation_fraction"):
        assign(["train"] * 4, [0] * 4, test_fraction=0.0, validation_fraction=0.95)


def test_a_subset_keeps_at_most_so_many_of_each_split_stratified() -> None:
    labels = np.tile([0, 0, 0, 1], 100)
    assigned = np.array(assign(["train"] * 300 + ["test"] * 100, labels, subset=40))
    assert (assigned == "validation").sum() == 30
    assert np.bincount(labels[assigned == "train"]).tolist() == [30, 10]
    assert np.bincount(labels[assigned == "test"]).tolist() == [30, 10]
    assert (assigned == "").sum() == 400 - 30 - 40 - 40


def test_a_subset_changes_no_image_to_another_split() -> None:
    splits, labels = ["train"] * 200, np.tile([0, 1], 100)
    whole, part = np.array(assign(splits, labels)), np.array(assign(splits, labels, subset=7))
    assert set(part[part != whole]) == {""}


def test_a_tenth_of_what_is_trained_on_is_judged_meanwhile_by_the_seed_with_each_label_in_its_share() -> None:
    labels = np.tile(unequal_labels(), 10)
    counts = {trained: len(drawn_while_training(labels, trained, 0)) for trained in (40, 2_560, 4_000, 50_000)}
    assert counts == {40: 256, 2_560: 256, 4_000: 400, 50_000: 2_048}
    one, again, other = (drawn_while_training(labels, 4_000, seed) for seed in (0, 0, 1))
    assert np.array_equal(one, again) and not np.array_equal(one, other)
    assert np.abs(np.bincount(labels[one] + 1) - np.bincount(labels + 1) * 400 / len(labels)).max() <= 1
    assert np.array_equal(drawn_while_training(labels[:200], 4_000, 0), np.arange(200)), "all where there are no more"


@pytest.mark.parametrize(
    ("judged", "trained_on", "epochs"), [(256, 20, 128), (144, 50, 29), (256, 1_000, 3), (2_048, 50_000, 1), (0, 20, 1)]
)
def test_what_is_judged_stays_a_tenth_of_what_is_trained_on_meanwhile(
    judged: int, trained_on: int, epochs: int
) -> None:
    assert epochs_between_judgments(judged, trained_on) == epochs
