"""Each check says what it is based on, and only what was measured is checked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from simclr_steps.data.packed import Description, Repeated, read_description
from simclr_steps.summary.batch_effects import BatchEffect
from simclr_steps.summary.checks import Check, checks
from simclr_steps.summary.collected import COLUMNS
from simclr_steps.summary.headline import Headline, group
from simclr_steps.summary.intervals import Spread
from simclr_steps.summary.losses import beside_chance
from simclr_steps.summary.reading import read_run
from simclr_steps.summary.run_results import RunResults
from tests.unit.conftest import WritePacked
from tests.unit.summary.written_results import settings, write_run


@pytest.fixture
def data(write_packed: WritePacked) -> Description:
    return read_description(write_packed(name="digits"))


@pytest.fixture
def run(tmp_path: Path) -> RunResults:
    write_run(tmp_path / "results", 0)
    return read_run(settings(0).runs[0], tmp_path / "results")


def of(run: RunResults) -> Headline:
    [one] = group(pd.DataFrame(run.rows, columns=[*COLUMNS, "series", "by_group"]))
    return one


def failed(found: list[Check]) -> dict[str, str]:
    return {check.name: check.figure for check in found if not check.passed}


def test_a_sound_run_passes_all_but_that_of_seeds(run: RunResults, data: Description) -> None:
    history = {"epoch": [0, 3, 4], "validate_knn_accuracy": [0.5, 0.9, 0.905], "validate_rankme": [5, 30, 31]}
    run.history = pd.DataFrame(history)
    found = checks(of(run), [run], data, [], "results-1")
    assert [check.name for check in found] == ["Not collapsed", "Converged", "Seeds", "No leaks", "Test split"]
    assert failed(found) == {"Seeds": "1 seed does not show what others give: run with seeds: [0, 1, 2]"}
    assert found[1].figure == "hold-out accuracy by nearest neighbors 90.0 → 90.5 % in the last quarter of training"


def test_a_training_that_gets_worse_has_not_converged(run: RunResults, data: Description) -> None:
    for column, values in (("validate_knn_accuracy", [0.9, 0.6]), ("validate_loss", [3.0, 4.0])):
        run.history = pd.DataFrame({"epoch": [3, 4], column: values})
        assert "Getting worse" in failed(checks(of(run), [run], data, [], "results-1"))


def test_convergence_speaks_of_the_loss_that_the_page_shows_less_that_of_chance(
    run: RunResults, data: Description
) -> None:
    trained = {"views": 2, "batch": 64, "trained_on": 60}
    run.history = pd.DataFrame({"epoch": [3, 4], "validate_loss": [4.00, 3.97], **trained})
    shown = beside_chance(run.history, data.splits["validation"].images)["validate_loss_beside_chance"]
    told = f"hold-out loss less that of chance {shown[0]:.3f} → {shown[1]:.3f} in the last quarter of training"
    found = {check.name: check.figure for check in checks(of(run), [run], data, [], "results-1")}
    assert found["Converged"] == told and shown[0] < 0


def test_each_fault_is_named_with_its_figure(run: RunResults, data: Description) -> None:
    run.records["pretrain"]["verdict"] = "collapsed: effective rank 1.0 of 10: lower the learning rate"
    run.history = pd.DataFrame({"epoch": [0, 3, 4], "validate_loss": [5.0, 4.0, 3.5]})
    run.add("finetune", "calibrated_error", 0.12, input="tuned", split="test")
    effect = BatchEffect("digits", "simclr", "plate", Spread(0.9, 0.0, 1, 500), 0.25, 0.3, 500, 1e-9)
    repeated = data.model_copy(update={"repeated": Repeated(trained_on={"test": 3})})
    found = checks(of(run), [run], repeated, [effect, replace(effect, pretrain="other")], "results-1")
    assert failed(found) == {
        "Training": "collapsed",
        "Still improving": "hold-out loss 4.000 → 3.500 in the last quarter of training",
        "Seeds": "1 seed does not show what others give: run with seeds: [0, 1, 2]",
        "Leaks": "3 images of the test split are trained on, too",
        "Batch effect": "plate predicted at 90.0 %, chance 25.0 %",
        "Calibration": "probabilities are off by 12.0 % on average",
    }
    run.explored = {"duplicates": {"images_across": {"test": 2, "train": 2}}}
    told = failed(checks(of(run), [run], data, [], "results-1"))["Near-duplicates"]
    assert told == "2 of 60 test images resemble some of another split, so results on them may be too good"


def test_runs_of_a_grid_have_not_read_the_test_split(run: RunResults, data: Description) -> None:
    run.run = run.run.model_copy(update={"judged_by": "validation"})
    found = {check.name: check for check in checks(of(run), [run], data, [], "results-1")}
    assert found["Test split"].passed
    assert found["Test split"].figure == "not read: runs of a grid are judged on the hold-out"
