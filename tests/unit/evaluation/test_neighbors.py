from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from simclr_steps.evaluation import neighbors as module
from simclr_steps.evaluation.neighbors import knn_accuracy, nearest, vote

RANDOM = np.random.default_rng(0)
BANK = RANDOM.normal(size=(300, 12)).astype(np.float32)
QUERIES = RANDOM.normal(size=(90, 12)).astype(np.float32)
BANK_LABELS, QUERY_LABELS = BANK[:, :4].argmax(axis=1), QUERIES[:, :4].argmax(axis=1)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_neighbors_are_those_of_scikit_learn_whatever_the_chunk(
    metric: Literal["cosine", "euclidean"], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected_distances, expected = NearestNeighbors(n_neighbors=7, metric=metric).fit(BANK).kneighbors(QUERIES)
    for budget in (2**26, 1000):  # all queries at a time, and three
        monkeypatch.setattr(module, "_DISTANCES_AT_A_TIME", budget)
        indices, distances = nearest(BANK, QUERIES, 7, metric=metric)
        np.testing.assert_array_equal(indices, expected)
        np.testing.assert_allclose(distances, expected_distances, atol=1e-5)


def test_left_out_rows_are_no_neighbors_of_themselves_even_among_duplicates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_DISTANCES_AT_A_TIME", 1000)
    twice = np.concatenate([BANK, BANK])
    indices, _ = nearest(twice, twice, 1, leave_one_out=True)
    np.testing.assert_array_equal(indices[:, 0], (np.arange(600) + 300) % 600)


@pytest.mark.parametrize("neighbors", [1, 5, 10])
def test_accuracy_is_that_of_scikit_learn(neighbors: int) -> None:
    reference = KNeighborsClassifier(neighbors, metric="cosine").fit(BANK, BANK_LABELS)
    found = knn_accuracy(BANK, BANK_LABELS, QUERIES, QUERY_LABELS, neighbors)
    assert found == pytest.approx(reference.score(QUERIES, QUERY_LABELS), abs=1e-9)


def test_rows_without_a_label_neither_vote_nor_count() -> None:
    labels, query_labels = BANK_LABELS.copy(), QUERY_LABELS.copy()
    labels[::3], query_labels[::2] = -1, -1
    known, asked = labels >= 0, query_labels >= 0
    expected = knn_accuracy(BANK[known], labels[known], QUERIES[asked], query_labels[asked], 5)
    assert knn_accuracy(torch.from_numpy(BANK), labels, torch.from_numpy(QUERIES), query_labels, 5) == expected
    with pytest.raises(ValueError, match="labels"):
        knn_accuracy(BANK, np.full(300, -1), QUERIES, QUERY_LABELS, 5)


def test_more_neighbors_than_rows_are_all_rows() -> None:
    assert nearest(BANK[:3], QUERIES, 10)[0].shape == (90, 3)
    assert nearest(BANK[:3], BANK[:3], 10, leave_one_out=True)[0].shape == (3, 2)


def test_a_tie_goes_to_the_smaller_label() -> None:
    np.testing.assert_array_equal(vote(np.array([[2, 1, 1, 2], [3, 3, 0, 1]])), [1, 3])
