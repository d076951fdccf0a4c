"""Pictures show the channels that are asked for, and one that is not there is named."""

from __future__ import annotations

from typing import Any

import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.settings.datasets import DigitsDataset
from simclr_steps.settings.display import Display, Mix, in_words, legend_of, mix_of
from simclr_steps.settings.reading import check
from tests.unit.settings.test_image_format import of

NAMES = ["DNA", "RNA", "ER", "AGP", "0"]
RED, GREEN, BLUE, WHITE = (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)


@pytest.mark.parametrize(
    ("channels", "names", "display", "expected"),
    [
        (1, None, None, None),
        (3, None, None, None),
        (3, NAMES[:3], None, {0: RED, 1: GREEN, 2: BLUE}),
        (2, None, None, {0: RED, 1: GREEN}),
        (7, None, None, {0: RED, 1: GREEN, 2: BLUE}),
        (5, NAMES, ["AGP"], {3: WHITE}),
        (5, NAMES, [2, "DNA"], {2: RED, 0: GREEN}),
        (5, NAMES, ["0", 1, "ER"], {4: RED, 1: GREEN, 2: BLUE}),  # a name comes before a number
        (
            5,
            NAMES,
            {"DNA": "blue", "1": "white", "ER": "green", "AGP": "magenta"},
            {0: BLUE, 1: WHITE, 2: GREEN, 3: (1, 0, 1)},
        ),
        (3, None, [0], {0: WHITE}),
    ],
)
def test_channels_are_found_by_name_or_number(
    channels: int, names: list[str] | None, display: Display | None, expected: Mix | None
) -> None:
    assert check(DigitsDataset, {"source": "digits", "display": display}).display == display
    assert mix_of(display, of(channels, channel_names=names), "cells") == expected


@pytest.mark.parametrize(
    ("names", "display", "sentence"),
    [
        (NAMES, ["DNS"], 'datasets.cells.display: there is no channel "DNS"; did you mean "DNA"?'),
        (NAMES, {"5": "red"}, 'there is no channel "5"; available: 0, AGP, DNA, ER, RNA'),
        (None, [0, 5], 'there is no channel "5"; available: 0, 1, 2, 3, 4'),
        (NAMES, ["DNA", "RNA", 1], 'datasets.cells.display: channel "1" appears more than once: remove one'),
    ],
)
def test_a_channel_that_is_not_there_or_there_twice_is_named(
    names: list[str] | None, display: Display, sentence: str
) -> None:
    with pytest.raises(UserError) as error:
        mix_of(display, of(5, channel_names=names), "cells")
    assert str(error.value).endswith(sentence)


@pytest.mark.parametrize(
    ("display", "sentence"),
    [
        ({"DNA": "blu"}, 'display.DNA: "blu" is not known; did you mean "blue"?'),
        ([0, 1, 2, 3], "display: [0, 1, 2, 3] is wrong: it must be a list of up to three channels, or channels with"),
        ([], "display: [] is wrong: it must be a list of up to three channels, or channels with their colors"),
        ({}, "display: {} is wrong: it must be a list of up to three channels, or channels with their colors"),
        ([-1], "display.0: -1 is wrong: it must be greater than or equal to 0"),
        ({0: "blue"}, "display: YAML reads 0 as a number, where a name belongs: put the name in quotes"),
        ("DNA", 'display: "DNA" is wrong: it must be a list of up to three channels'),
    ],
)
def test_what_is_no_display_is_refused(display: Any, sentence: str) -> None:
    with pytest.raises(UserError) as error:
        check(DigitsDataset, {"source": "digits", "display": display})
    assert sentence in str(error.value)


def test_a_legend_names_each_channel_that_is_shown_with_its_color() -> None:
    form = of(5, channel_names=NAMES)
    legend = legend_of(mix_of({"ER": "green", "DNA": "blue", "AGP": "magenta"}, form, "cells"), form)
    assert list(legend.items()) == [("ER", GREEN), ("DNA", BLUE), ("AGP", (1, 0, 1))]
    assert in_words(legend) == "ER in green, DNA in blue, AGP in magenta"
    assert in_words(legend_of(mix_of(None, of(2), "cells"), of(2))) == "channel 0 in red, channel 1 in green"
    assert in_words(legend_of(mix_of(None, of(3), "photos"), of(3))) == ""
