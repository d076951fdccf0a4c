"""The projection head's keys."""

from __future__ import annotations

import pytest

from simclr_steps.settings.network import ProjectionHead
from tests.unit.settings.mistakes import assert_refused


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"layers": 4}, "layers: 4 is wrong: it must be 2 or 3"),
        ({"output_size": 0}, "output_size: 0 is wrong: it must be greater than 0"),
        ({"hidden": 64}, 'unknown key "hidden"; did you mean "hidden_size"?'),
    ],
)
def test_mistake_is_one_sentence_that_names_the_key(content: dict[str, object], sentence: str) -> None:
    assert_refused(ProjectionHead, content, sentence)
