"""What a terminal would obey is written out."""

from __future__ import annotations

import pytest

from simclr_steps.machine.visible import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\rb\x00\x7f\x9b", r"a\rb\x00\x7f\x9b"),
        ("two\n\tlines", "two\n\tlines"),
        ("Zürich 東京 a\u200db", "Zürich 東京 a\u200db"),
        ("a\u2028b\u202ec", r"a\u2028b\u202ec"),
        ("latin-1 \udcfc", r"latin-1 \udcfc"),
    ],
)
def test_control_characters_and_bytes_that_are_no_text_are_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown
