from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from simclr_steps.evaluation.clusters import (
    agreement,
    can_be_uncertain,
    clusters,
    number_of_clusters,
    order_to_label,
    uncertain_to_label,
)
from simclr_steps.evaluation.similar_rows import directions, similar

RANDOM = np.random.default_rng(0)
SIZES = [40, 90, 60]
BLOB = np.repeat(np.arange(3), SIZES)


@pytest.fixture
def rows() -> npt.NDArray[np.float32]:
    return directions(np.eye(3, 8)[BLOB] + 0.05 * np.random.default_rng(1).normal(size=(len(BLOB), 8)))


def distance_of(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return similar(rows, 5, 1.0, np.zeros(len(rows), dtype=np.int64)).distance


def test_clusters_are_those_of_scikit_learn_the_largest_first(rows: npt.NDArray[np.float32]) -> None:
    cluster, distance = clusters(rows, 3, 0)
    assert adjusted_rand_score(KMeans(3, n_init=1, random_state=0).fit_predict(rows), cluster) == 1
    assert np.bincount(cluster).tolist() == sorted(SIZES, reverse=True)
    for one in range(3):
        center = rows[cluster == one].mean(axis=0)
        expected = 1 - rows[cluster == one] @ center / np.linalg.norm(center)
        np.testing.assert_allclose(distance[cluster == one], expected, atol=1e-5)


def test_fewer_or_equal_rows_make_fewer_clusters_and_no_warning(rows: npt.NDArray[np.float32]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sorted(clusters(rows[:4], 10, 0)[0]) == [0, 1, 2, 3]
        equal = np.tile(rows[:1], (30, 1))
        cluster, distance = clusters(equal, 10, 0)
        assert not cluster.any() and np.allclose(distance, 0, atol=1e-6)
        assert not len(clusters(rows[:0], 10, 0)[0])
        assert len(set(order_to_label(equal, distance_of(equal), np.full(30, -1), 10, 0))) == 10
        assert not len(order_to_label(rows[:0], np.empty(0, dtype=np.float32), np.empty(0, dtype=np.int64), 10, 0))


def test_auto_is_the_number_of_classes_or_grows_with_the_rows() -> None:
    assert number_of_clusters(1000, 7) == 7
    assert [number_of_clusters(rows, 0) for rows in (1, 50, 200, 10**6)] == [1, 5, 10, 50]


def test_agreement_is_of_labeled_rows() -> None:
    labels = np.array([0, 0, 1, 1, -1, -1])
    found = agreement(np.array([1, 1, 0, 0, 0, 1]), labels)
    assert found == {"labeled": 4, "adjusted_rand_index": 1.0, "normalized_mutual_information": pytest.approx(1.0)}
    assert agreement(np.zeros(6, dtype=np.int64), np.full(6, -1))["adjusted_rand_index"] is None
    assert agreement(np.zeros(2, dtype=np.int64), np.array([1, 1]))["normalized_mutual_information"] is None


def test_to_label_are_typical_rows_of_each_cluster_and_first_where_no_label_is(rows: npt.NDArray[np.float32]) -> None:
    labels, distance = np.full(len(rows), -1), distance_of(rows)
    order = order_to_label(rows, distance, labels, 3, 0)
    assert BLOB[order].tolist() == [1, 2, 0], "the largest first"
    for row in order:
        assert distance[row] == distance[BLOB[row] == BLOB].min()
    labels[np.flatnonzero(BLOB == 1)[:20]] = 1
    order = order_to_label(rows, distance, labels, 3, 0)
    assert BLOB[order].tolist() == [2, 0, 1] and (labels[order] < 0).all()


def test_of_a_labeled_cluster_none_is_left_and_others_give_more(rows: npt.NDArray[np.float32]) -> None:
    distance = distance_of(rows)
    labels = np.where(BLOB == 1, 1, -1)
    labels[BLOB == 0] = 0
    labels[np.flatnonzero(BLOB == 0)[0]] = -1
    order = order_to_label(rows, distance, labels, 3, 0)
    assert len(order) == 3 and BLOB[order].tolist() == [2, 0, 2]
    everything = np.where(BLOB >= 0, BLOB, -1)
    assert BLOB[order_to_label(rows, distance, everything, 3, 0)].tolist() == [0, 2, 1], "the fewest labels first"


def test_the_most_uncertain_of_twice_as_many_typical_rows_are_first(rows: npt.NDArray[np.float32]) -> None:
    distance, labels = distance_of(rows), np.full(len(rows), -1)
    assert not can_be_uncertain(labels) and not can_be_uncertain(BLOB)
    for blob in (0, 1):
        labels[np.flatnonzero(blob == BLOB)[:5]] = blob
    assert can_be_uncertain(labels) and not can_be_uncertain(np.where(labels == 0, 0, -1))
    order, eight = uncertain_to_label(rows, rows, distance, labels, 4, 0), order_to_label(rows, distance, labels, 8, 0)
    assert len(order) == 4 and set(order) <= set(eight)
    unknown = np.flatnonzero(BLOB[eight] == 2)
    assert set(eight[unknown[:4]]) <= set(order[: len(unknown)]), "those of a class that no label is of"
    assert eight[: len(unknown)].tolist() != order[: len(unknown)].tolist(), "not the order of the eight"
