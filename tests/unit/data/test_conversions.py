"""What reading changes about images is counted by image and said once, with an example."""

from __future__ import annotations

from pathlib import Path

import pytest

from simclr_steps.data.conversions import TO_GRAY, TO_WHITE, Conversions, note, noting


def test_each_conversion_is_said_once_with_the_number_of_images_and_the_first(caplog: pytest.LogCaptureFixture) -> None:
    conversions, channels = Conversions(), (Path("dna.tif"), Path("rna.tif"))
    conversions.add(Path("a.png"), [])
    conversions.add(channels, [TO_GRAY])
    for found in ([], [TO_WHITE], [TO_WHITE, TO_GRAY]):  # parts of one image
        conversions.add(Path("c.png"), found)
    with caplog.at_level("INFO"):
        conversions.report()
        Conversions().report()
    assert caplog.messages == [
        "colors were made gray in 2 of 3 images, such as dna.tif",
        "transparent parts were made white in 1 of 3 images, such as c.png",
    ]


def test_what_is_noted_goes_to_the_innermost_that_collects_or_nowhere() -> None:
    note(TO_GRAY)
    with noting() as outer:
        with noting() as inner:
            note(TO_GRAY)
        note(TO_WHITE)
    note(TO_GRAY)
    assert (outer, inner) == ({TO_WHITE}, {TO_GRAY})
