"""Names that differ in one short token suggest one file per channel."""

from __future__ import annotations

import pytest

from simclr_steps.data.likely_channels import likely_channels


@pytest.mark.parametrize(
    ("stems", "channels", "suffix"),
    [
        (["a/0_1_N_", "a/0_2_N_", "b/0_1_N_"], "GR", ".png"),
        ([f"AS_09125_05011603000{well}_D0{well}f00d" for well in range(1, 9)], "012", ".tif"),
        ([f"r0{row}c01f01p01-ch" for row in range(1, 5)], "1234", "sk1fk1fl1.tiff"),
    ],
)
def test_channels_are_found(stems: list[str], channels: str, suffix: str) -> None:
    names = [f"{stem}{channel}{suffix}" for stem in stems for channel in channels]
    assert likely_channels(names) == {channel: f"{stems[0]}{channel}{suffix}" for channel in channels}


def test_a_few_missing_files_make_no_difference_and_many_do() -> None:
    names = [f"{well}_{channel}.png" for well in range(20) for channel in ("DAPI", "mCherry")]
    assert likely_channels(names[:-1]) == {"DAPI": "0_DAPI.png", "mCherry": "0_mCherry.png"}
    assert likely_channels(names[:30] + names[30::2]) is None


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["one.png"],
        [f"{number}.png" for number in range(5)],
        [f"{folder}/{number}.png" for folder in "abc" for number in range(3)],
        [f"IMG_{number:04}.jpg" for number in range(60)],
        [f"plate{number % 6}_{number}.jpg" for number in range(60)],
        [f"a_{number}.png" for number in range(3)],
    ],
)
def test_other_names_suggest_none(names: list[str]) -> None:
    assert likely_channels(names) is None
