"""Where the hold-out judges, test is among no splits."""

from __future__ import annotations

from simclr_steps.settings.judged import instead_of_test, splits_judged


def test_the_hold_out_is_always_measured_and_test_last_or_not_at_all() -> None:
    assert splits_judged("test") == ("validation", "test")
    assert splits_judged("validation") == ("validation",)


def test_the_hold_out_stands_in_for_test_once() -> None:
    asked = ["test", "train", "validation"]
    assert instead_of_test(asked, "test") == asked
    assert instead_of_test(asked, "validation") == ["validation", "train"]
