"""Tables of what is known of each image of a split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from simclr_steps.data.packed import read_description
from simclr_steps.data.row_tables import class_names, log_odds, row_table
from tests.unit.conftest import WritePacked, digits

LABELS = np.array([0, 1, -1, 1])


def test_a_class_has_its_name_and_no_label_is_null() -> None:
    names = class_names(LABELS, ["cat", "dog"])
    assert names.dtype == "string" and names.tolist() == ["cat", "dog", pd.NA, "dog"]
    assert class_names(LABELS[:0], []).dtype == "string"


def test_log_odds_are_those_of_probabilities_and_exact_where_these_round_to_one() -> None:
    logits = np.random.default_rng(0).normal(size=(50, 4))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(log_odds(logits), np.log(chances / (1 - chances)), rtol=1e-9)
    leads = np.array([[50, 0], [80, 0], [1000, 0], [0, 1000]], dtype=np.float32)
    np.testing.assert_allclose(log_odds(leads), leads - leads[:, ::-1])
    assert log_odds(leads[:0]).shape == (0, 2) and log_odds(leads[:, :1]).tolist() == 4 * [[np.inf]]


def test_labels_are_numbers_with_nulls_and_group_and_further_columns_follow(write_packed: WritePacked) -> None:
    data: Path = write_packed({"test": (digits(4)[0], LABELS)}, classes=("cat", "dog"), groups={"test": list("aabb")})
    rows = pd.read_parquet(data / "test.rows.parquet")
    rows.assign(plate=pd.Series(["1", None, "ü, 3", "1"])).to_parquet(data / "test.rows.parquet")
    table = row_table(data, read_description(data), "test")
    assert list(table) == ["row", "source", "label", "class", "group", "plate"]
    assert table["row"].tolist() == [0, 1, 2, 3] and table["row"].dtype == np.int64
    assert table["source"].tolist() == [f"test/{row}.png" for row in range(4)]
    assert table["label"].dtype == "Int64" and table["label"].tolist() == [0, 1, pd.NA, 1]
    assert table["class"].tolist() == ["cat", "dog", pd.NA, "dog"]
    assert table["group"].tolist() == list("aabb")
    assert table["plate"].fillna("none").tolist() == ["1", "none", "ü, 3", "1"]


def test_without_groups_and_further_columns_there_are_four(write_packed: WritePacked) -> None:
    data = write_packed({"test": digits(3)})
    assert list(row_table(data, read_description(data), "test")) == ["row", "source", "label", "class"]
