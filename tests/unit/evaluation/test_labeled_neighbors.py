"""The labeled images that are most like others are those that scikit-learn finds."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from simclr_steps.evaluation.labeled_neighbors import NEIGHBORS, labeled_neighbors


def test_neighbors_are_the_nearest_labeled_ones_seen_from_the_mean_of_all() -> None:
    generator = np.random.default_rng(0)
    known, features = (generator.normal(5, 1, size=(count, 8)).astype(np.float32) for count in (60, 7))
    label = pd.Series(np.arange(60) % 3, dtype="Int64").mask(np.arange(60) % 4 == 0)
    table = pd.DataFrame({"source": [f"ü{row}.png" for row in range(60)], "label": label})
    table["class"] = table["label"].map({0: "a", 1: "b", 2: "c"})
    found = labeled_neighbors(features, known, table)

    labeled = np.flatnonzero(label.notna())
    expected = NearestNeighbors(n_neighbors=NEIGHBORS, metric="cosine", algorithm="brute")
    expected.fit(known[labeled] - known.mean(axis=0))
    indices = labeled[expected.kneighbors(features - known.mean(axis=0), return_distance=False)]
    assert [json.loads(of_one) for of_one in found["neighbors"]] == table["source"].to_numpy()[indices].tolist()
    assert [json.loads(of_one) for of_one in found["neighbor_classes"]] == table["class"].to_numpy()[indices].tolist()


def test_without_a_label_there_are_none() -> None:
    table = pd.DataFrame({"source": ["a"], "label": pd.Series([None], dtype="Int64"), "class": [None]})
    found = labeled_neighbors(np.ones((2, 3)), np.ones((1, 3)), table)
    assert found.to_numpy().tolist() == [["[]", "[]"], ["[]", "[]"]]
