"""A layout's measures are about labeled points alone, and what cannot be measured is said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from simclr_steps.evaluation.umap_layout import MEASURES, VOTERS, layout_quality, neighbors_kept, own_votes
from simclr_steps.settings.umap import UmapSettings
from tests.unit.conftest import digits


def test_votes_are_scikit_learns_among_the_labeled_and_null_for_the_others() -> None:
    images, labels = digits(120)
    pixels = images.reshape(120, -1).astype(np.float32)
    labels[::3] = -1
    known = labels >= 0
    votes = own_votes(pixels, labels, "cosine")
    assert votes.isna().to_numpy().tolist() == (~known).tolist()
    expected = cross_val_predict(
        KNeighborsClassifier(VOTERS, metric="cosine"), pixels[known], labels[known], cv=LeaveOneOut()
    )
    np.testing.assert_array_equal(votes[known].to_numpy(dtype=np.int64), expected)


@pytest.mark.parametrize("labeled", [0, 1])
def test_a_single_labeled_point_has_nobody_to_vote(labeled: int) -> None:
    labels = np.where(np.arange(20) < labeled, 3, -1)
    assert own_votes(np.random.default_rng(0).normal(size=(20, 4)), labels, "euclidean").isna().all()


def test_labels_of_one_class_give_no_measures_and_a_note() -> None:
    plane = np.random.default_rng(0).normal(size=(40, 2))
    votes = pd.Series(0, index=range(40), dtype="Int64")
    quality = layout_quality(UmapSettings(n_neighbors=5, metric="euclidean"), plane, plane, np.zeros(40, int), votes)
    assert quality["trustworthiness"] == 1, "the plane is the features themselves"
    assert all(quality[measure] is None for measure in MEASURES)
    assert quality["note"] == "Neighborhoods of classes were not measured: they require labels of two classes."


def test_the_images_that_an_accuracy_is_of_are_counted_also_by_group() -> None:
    plane = np.random.default_rng(0).normal(size=(40, 2))
    labels = np.where(np.arange(40) < 30, np.arange(40) % 2, -1)
    votes = pd.Series(np.where(np.arange(40) < 3, 1 - labels, labels), dtype="Int64")
    groups = np.array(["a", "b"]).repeat(20)
    quality = layout_quality(UmapSettings(n_neighbors=5, metric="euclidean"), plane, plane, labels, votes, groups)
    assert (quality["images"], quality["knn_accuracy_features"]) == (30, 0.9)
    assert quality["by_group"]["images"] == [20, 10]
    assert quality["by_group"]["knn_accuracy_features"] == [17, 10]


def test_no_more_neighbors_are_kept_than_there_are() -> None:
    assert [neighbors_kept(UmapSettings(n_neighbors=15), points) for points in (10, 15, 16, 100)] == [9, 14, 15, 15]
