"""The block `prediction`."""

from __future__ import annotations

import pytest

from simclr_steps.settings.prediction import PredictionSettings
from tests.unit.settings.mistakes import assert_refused


@pytest.mark.parametrize(
    ("splits", "sentence"),
    [
        (["tests"], 'splits.0: "tests" is not known; did you mean "test"?'),
        ([], "splits: [] is wrong: it must contain at least 1"),
    ],
)
def test_splits_that_do_not_exist_are_named(splits: list[str], sentence: str) -> None:
    assert_refused(PredictionSettings, {"splits": splits}, sentence)
