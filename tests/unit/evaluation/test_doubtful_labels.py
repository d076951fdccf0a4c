from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from simclr_steps.evaluation.doubtful_labels import judge_labels
from simclr_steps.evaluation.similar_rows import directions

RANDOM = np.random.default_rng(0)
ROWS = directions(np.eye(4, 10)[np.arange(200) % 4] + RANDOM.normal(size=(200, 10)) * 0.4)
LABELS = np.where(RANDOM.random(200) < 0.8, np.arange(200) % 4, RANDOM.integers(0, 4, 200))


def shares_of_votes(
    rows: npt.NDArray[Any], labels: npt.NDArray[np.int64], neighbors: int, groups: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return the share of each class in the votes on each row, row by row."""
    shares = np.zeros((len(rows), labels.max() + 1))
    for row in range(len(rows)):
        others = np.flatnonzero(groups != groups[row])
        cosines = rows[others].astype(np.float64) @ rows[row]
        for one in np.argsort(-cosines)[:neighbors]:
            shares[row, labels[others[one]]] += np.exp(cosines[one] / 0.07)
    shares /= shares.sum(axis=1, keepdims=True)
    return shares


@pytest.mark.parametrize("groups", [np.arange(200), np.arange(200) // 3])
def test_scores_are_one_minus_cleanlabs_margin_and_doubts_are_off_the_confident_joints_diagonal(
    groups: npt.NDArray[np.int64],
) -> None:
    shares = shares_of_votes(ROWS, LABELS, 10, groups)
    usual = [np.mean([shares[row, label] for row in range(200) if LABELS[row] == label]) for label in range(4)]
    found = judge_labels(ROWS, LABELS, 10, groups if groups[1] == 0 else None)
    for row, label in enumerate(LABELS):
        others = [shares[row, other] for other in range(4) if other != label]
        margin = (shares[row, label] - max(others) + 1) / 2
        assert found.score[row] == pytest.approx(1 - margin, abs=1e-3)
        confident = [other for other in range(4) if shares[row, other] >= usual[other]]
        likeliest = max(confident, key=lambda other: shares[row, other], default=label)
        expected = likeliest != label and shares[row].argmax() != label
        assert found.doubtful[row] == expected
        assert found.prediction[row] == shares[row].argmax()
        assert found.probability[row] == pytest.approx(shares[row].max(), abs=1e-3)
    assert 10 < found.doubtful.sum() < 100


def test_planted_wrong_labels_are_in_the_first_tenth() -> None:
    images, labels = load_digits(return_X_y=True)
    rows = directions(PCA(32, random_state=0).fit_transform(images))
    wrong = RANDOM.choice(len(labels), 90, replace=False)
    labels[wrong] = (labels[wrong] + RANDOM.integers(1, 10, 90)) % 10
    found = judge_labels(rows, labels, 10)
    first = np.argsort(-found.score, kind="stable")
    assert np.isin(wrong, first[:180]).mean() >= 0.95
    assert np.isin(wrong, np.flatnonzero(found.doubtful)).mean() > 0.7
    assert np.isin(np.flatnonzero(found.doubtful), wrong).mean() > 0.9


def test_images_of_a_group_that_share_a_wrong_label_do_not_vote_for_each_other() -> None:
    rows = directions(np.concatenate([ROWS, ROWS[:1].repeat(12, axis=0)]))
    labels = np.append(np.arange(200) % 4, np.full(12, 1))  # the row that is copied is of class 0
    groups = np.append(np.arange(200), np.full(12, 200))
    assert judge_labels(rows, labels, 10).score[200:].max() < 0.5
    found = judge_labels(rows, labels, 10, groups)
    assert found.doubtful[200:].all() and found.score[200:].min() > 0.9
    assert found.neighbors[200:].max() < 200


def test_a_class_of_one_image_or_group_is_not_judged() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1, 2])
    groups = np.array([0, 0, 0, 1, 2, 3, 4])
    found = judge_labels(ROWS[:7], labels, 3, groups)
    np.testing.assert_array_equal(np.isnan(found.score), [True, True, True, False, False, False, True])
    assert not found.doubtful[[0, 1, 2, 6]].any()
    assert found.prediction[[0, 1, 2, 6]].tolist() == [-1] * 4


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_rows_have_the_neighbors_that_there_are(count: int) -> None:
    found = judge_labels(ROWS[:count], np.zeros(count, dtype=np.int64), 10)
    assert found.neighbors.max(axis=1, initial=-1).tolist() == ([1, 0] if count == 2 else [-1] * count)
    assert not found.doubtful.any()
    assert np.isfinite(found.score).all() == (count != 1)


def test_rows_of_one_group_have_no_neighbors() -> None:
    found = judge_labels(ROWS[:5], np.array([0, 1, 0, 1, 0]), 3, np.zeros(5))
    assert np.isnan(found.score).all() and (found.neighbors == -1).all()
