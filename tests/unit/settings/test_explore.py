from __future__ import annotations

from typing import Any

import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.settings.explore import ExploreSettings
from simclr_steps.settings.reading import check


@pytest.mark.parametrize(
    ("splits", "arrays"),
    [
        ("auto", ["train", "test"]),
        (["unlabeled", "validation"], ["train", "validation"]),
        (["test", "test"], ["test"]),
        ([], []),
    ],
)
def test_arrays_hold_the_splits(splits: Any, arrays: list[str]) -> None:
    assert ExploreSettings(splits=splits).arrays == arrays


@pytest.mark.parametrize(
    ("block", "sentence"),
    [
        ({"splits": ["tests"]}, r'splits: \["tests"\] is wrong: it must be auto, or a list of train, validation, test'),
        ({"splits": "all"}, r'splits: "all" is wrong: it must be auto, or a list of'),
        ({"min_cosine": 1.5}, "min_cosine: 1.5 is wrong"),
        ({"n_clusters": 0}, "n_clusters: 0 is wrong: it must be a whole number above 0, or auto"),
    ],
)
def test_mistakes_are_named(block: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        check(ExploreSettings, block)
