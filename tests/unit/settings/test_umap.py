"""The block `umap`."""

from __future__ import annotations

import pytest

from simclr_steps.settings.umap import UmapSettings
from tests.unit.settings.mistakes import assert_refused


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"n_neighbors": 1}, "n_neighbors: 1 is wrong"),
        ({"min_dist": 1.5}, "min_dist: 1.5 is wrong"),
        ({"max_points": 9}, "max_points: 9 is wrong"),
        ({"random_state": 2**32}, "random_state: 4294967296 is wrong"),
        ({"split": "half"}, 'split: "half" is not known; available: all, test, train, unlabeled, validation'),
    ],
)
def test_mistake_is_one_sentence_that_names_the_key(content: dict[str, object], sentence: str) -> None:
    assert_refused(UmapSettings, content, sentence)
