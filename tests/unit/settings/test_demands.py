"""What experiments ask of a data set that only its images can show."""

from __future__ import annotations

from typing import Any

from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.demands import written_of_color
from tests.unit.settings.test_plan import planned


def test_keys_for_colors_are_demanded_where_the_user_wrote_them_and_they_change_something() -> None:
    blocks: dict[str, Any] = {
        "pretrains": {
            "preset": {"augmentation": {"preset": "photos"}},
            "off": {"augmentation": {"jitter_probability": 0, "hue": 0.1, "grayscale_probability": 0}},
            "simclr": {"augmentation": {"hue": 0.2, "saturation": 0.0}},
        },
        "finetunes": {"few": {"augmentation": {"grayscale_probability": 0.1}}, "plain": {}},
    }
    grid = {"augmentation.saturation": [0.0, 0.4]}
    named: list[dict[str, Any]] = [
        {"pretrain": "preset", "finetunes": ["few", "plain"]},
        {"pretrain": "off", "grid": grid},
        {},
    ]
    assert planned(*named, **blocks).demands("digits").color_keys == {
        "preset": [],
        "off-augmentation.saturation=0.0": [],
        "off-augmentation.saturation=0.4": [],
        "simclr": ["hue"],
        "finetunes.few": ["grayscale_probability"],
        "finetunes.plain": [],
        "evaluation": [],
    }


def test_only_keys_that_were_written_and_change_something_are_of_color() -> None:
    assert written_of_color(Augmentation(hue=0.1, saturation=0.0)) == ["hue"]
    assert written_of_color(Augmentation(preset="photos")) == written_of_color(None) == []
