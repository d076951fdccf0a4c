"""The block `metadata`."""

from __future__ import annotations

from typing import Any

import pytest

from simclr_steps.settings.metadata import MetadataSettings
from simclr_steps.settings.reading import check
from tests.unit.settings.mistakes import assert_refused


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({}, "columns: this key is required: add it"),
        ({"columns": []}, "columns: [] is wrong: it must contain at least 1"),
        ({"columns": [1]}, "columns.0: YAML reads 1 as a number: put the text in quotes"),
        ({"column": ["plate"]}, 'unknown key "column"; did you mean "columns"?'),
    ],
)
def test_mistake_is_one_sentence_that_names_the_key(content: dict[str, Any], sentence: str) -> None:
    assert_refused(MetadataSettings, content, sentence)


def test_columns_stay_in_the_order_in_which_they_are_listed() -> None:
    assert check(MetadataSettings, {"columns": ["site", "plate"]}).columns == ["site", "plate"]
