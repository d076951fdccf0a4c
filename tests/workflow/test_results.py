"""What stands in different places of the finished project agrees."""

import re

import pandas as pd
import pytest

from simclr_steps.files import read_json
from simclr_steps.machine.planned import read_plan
from simclr_steps.machine.watch import overview
from tests.layout import SCRATCH, assert_results
from tests.workflow.conftest import Project


def test_every_result_is_there(finished: Project) -> None:
    assert_results(finished.folder / "results/digits/simclr/seed0", ["pretrained"], shared=["scratch"])


@pytest.mark.parametrize("name", ["simclr/seed0/finetune/pretrained", f"{SCRATCH}/finetune/scratch"])
def test_accuracy_of_the_predictions_is_that_of_the_metrics(name: str, finished: Project) -> None:
    folder = finished.folder / "results/digits" / name
    found = pd.read_parquet(folder / "predictions.parquet")
    expected = read_json(folder / "metrics.json")["draws"][0]["test"]["accuracy"]
    assert (found["prediction"] == found["label"]).mean() == pytest.approx(expected)


def test_watch_shows_that_all_that_was_planned_is_done(finished: Project) -> None:
    head, _, *rows, _, nothing = overview(finished.folder, read_plan(finished.folder))
    assert re.fullmatch(r"(\d+) of \1 steps done", head) and nothing == "nothing is running"
    assert {word for row in rows for word in row.split()} >= {"done", "pretrain", "summary"}


def test_only_a_run_writes_the_plan_for_watch(project: Project) -> None:
    file = project.folder / "work" / "plan.json"
    file.unlink()
    assert project.plan("--forcerun", "umap") and not file.exists()
    assert project.plan() == set()
