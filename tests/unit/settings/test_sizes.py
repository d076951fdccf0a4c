"""A size is a side or height and width, and a square is always written as its side."""

from __future__ import annotations

import pytest

from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.settings.sizes import as_size
from tests.unit.settings.mistakes import assert_refused


@pytest.mark.parametrize(("given", "kept"), [(32, 32), ([32, 32], 32), ([16, 48], (16, 48)), (None, None)])
def test_equal_sizes_are_equal_settings(given: object, kept: object) -> None:
    assert PretrainSettings.model_validate({"view_size": given}).view_size == kept


def test_a_side_is_a_square() -> None:
    assert as_size(8) == (8, 8) and as_size((4, 8)) == (4, 8) and as_size(None) is None


@pytest.mark.parametrize("given", [3, [8, 3], [8], [8, 8, 8], 8.5, "8", True, 65_536, 10**12, [8, 10**12]])
def test_other_sizes_are_refused_in_one_sentence(given: object) -> None:
    sentence = "it must be a whole number or two, [height, width], each from 4 to 65,535"
    assert_refused(PretrainSettings, {"view_size": given}, sentence)
