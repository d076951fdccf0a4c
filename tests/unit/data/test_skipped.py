"""Of images that are left out, the first are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from simclr_steps.data.skipped import report_skipped


def test_five_are_named_with_the_reason_and_then_it_is_said_once_that_there_are_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for before in range(9):
        report_skipped((Path(f"dna{before}.tif"), Path("rna.tif")), "it is damaged", before)
    assert caplog.messages == [
        *(f"skipped dna{number}.tif: it is damaged" for number in range(5)),
        "skipped more images, which are counted at the end",
    ]
