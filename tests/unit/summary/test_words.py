"""A page explains the words on its first screen, and no others."""

from __future__ import annotations

from simclr_steps.summary.words import explained


def test_the_words_that_occur_are_explained_wherever_they_stand() -> None:
    found = explained(["Random features reach 80.0 %.", "on the hold-out"])
    assert list(found) == ["random features", "hold-out"]
    assert list(explained(["89.6 % (86.0 to 92.4)", "two (or three) to four"])) == ["in parentheses"]
    assert explained(["Nothing (or nearly so) to explain"]) == {}
