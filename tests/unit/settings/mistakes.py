"""What a user wrote in a block is refused in one sentence."""

from __future__ import annotations

import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.settings.reading import check


def assert_refused(kind: object, content: object, sentence: str) -> None:
    """Assert that `content`, read as a block of type `kind`, is one mistake, told in one sentence."""
    with pytest.raises(UserError) as error:
        check(kind, content, "block")
    assert str(error.value).startswith("block")
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)
    assert "more)" not in str(error.value)  # it is one mistake
