"""What stands in different places of the finished project agrees."""

import pandas as pd
import pytest

from simclr_steps.files import read_json
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
