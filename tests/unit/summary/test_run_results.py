"""Rows have the interval of what they are a share of, and no row is written without a value."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.summary.intervals import ByGroup
from simclr_steps.summary.run_results import RunResults, groups_of
from tests.unit.summary.written_results import put, settings


@pytest.fixture
def collected() -> RunResults:
    return RunResults(settings(3).runs[0])


def test_a_row_names_its_run_and_has_an_interval_if_it_is_a_share_of_images(collected: RunResults) -> None:
    by_group = ByGroup(np.full(6, 10.0), np.array([8.0, 9.0, 7.0, 8.0, 10.0, 6.0]))
    collected.add("knn", "loss", 4.5, split="test")
    collected.add("knn", "accuracy", 0.8, images=60)
    collected.add("knn", "accuracy", 0.8, images=60, by_group=by_group)
    plain, share, grouped = collected.rows
    assert plain == {
        **{"dataset": "digits", "pretrain": "simclr", "seed": 3, "stage": "knn", "split": "test"},
        **{"metric": "loss", "value": 4.5},
    }
    assert share["images"] == 60 and share["low"] < 0.8 < share["high"] and "groups" not in share
    assert grouped["groups"] == 6 and (grouped["low"], grouped["high"]) != (share["low"], share["high"])


@pytest.mark.parametrize("value", [None, float("nan")])
def test_no_row_is_added_without_a_value(collected: RunResults, value: float | None) -> None:
    collected.add("knn", "accuracy", value, images=60)
    assert collected.rows == []


def test_the_record_of_what_is_read_is_kept_and_its_data_are_compared_with_the_runs_own(
    collected: RunResults, tmp_path: Path
) -> None:
    assert collected.read("knn", tmp_path / "absent.json") is None and collected.records == {}
    put(tmp_path / "knn.json", {"input": "simclr"})
    for stage in ("knn", "finetune tuned"):
        content = collected.read(stage, tmp_path / "knn.json")
        assert content and content["input"] == "simclr" and collected.records[stage] == content["run"]
        collected.check_data(stage, tmp_path)
    collected.records["finetune tuned"]["data_hash"] = "0ther"
    with pytest.raises(UserError, match=f"{tmp_path} was measured on data other than the run's: run finetune again"):
        collected.check_data("finetune tuned", tmp_path)


def test_balanced_measures_are_of_the_groups_balanced_counts() -> None:
    measured = {
        "by_group": {"images": [4], "accuracy": [3]},
        "balanced_by_group": {"images": [2], "balanced_accuracy": [1]},
    }
    plain, balanced = groups_of(measured, "accuracy"), groups_of(measured, "balanced_accuracy")
    assert plain is not None and balanced is not None and (plain.images[0], balanced.images[0]) == (4, 2)
    assert groups_of({}, "accuracy") is None
