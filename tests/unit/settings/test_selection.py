"""The block `selection`."""

from __future__ import annotations

import pytest

from simclr_steps.settings.selection import SelectionSettings
from tests.unit.settings.mistakes import assert_refused


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"criterion": "validation_loss"}, 'criterion: "validation_loss" is not known; did you mean "validate_loss"?'),
        ({"criterion": "test"}, 'criterion: "test" is not known'),
        ({"knn_neighbors": 0}, "knn_neighbors: 0 is wrong: it must be greater than 0"),
    ],
)
def test_mistake_is_one_sentence_that_names_the_key(content: dict[str, object], sentence: str) -> None:
    assert_refused(SelectionSettings, content, sentence)
