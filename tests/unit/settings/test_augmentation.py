"""Random views: a preset, and the keys beside it."""

from __future__ import annotations

import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.settings.reading import check
from tests.unit.settings.mistakes import assert_refused


def test_preset_gives_way_to_keys_beside_it_and_equal_augmentations_have_equal_dumps() -> None:
    photo = check(Augmentation, {"preset": "photos", "hue": 0.05})
    assert (photo.hue, photo.brightness, photo.blur_probability, photo.crop_scale) == (0.05, 0.8, 0.5, (0.08, 1.0))
    dump = photo.model_dump(mode="json")
    assert check(Augmentation, dump).model_dump(mode="json") == dump
    spelled_out = {"crop_scale": [0.5, 1], "horizontal_flip_probability": 0, "rotation_degrees": 20}
    digits = check(Augmentation, {"preset": "digits"})
    assert digits.model_dump() == check(Augmentation, {**spelled_out, "grayscale_probability": 0}).model_dump()
    assert check(Augmentation, {"preset": "color"}).model_dump() == Augmentation().model_dump()
    with pytest.raises(UserError, match='preset: "photo" is not known; did you mean "photos"'):
        check(Augmentation, {"preset": "photo"})


def test_microscopy_asks_for_nothing_that_only_colors_have() -> None:
    preset = check(Augmentation, {"preset": "microscopy"})
    assert preset.of_color == []
    assert preset.quarter_turns and preset.gamma > 0 and preset.noise_std > 0


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"augmentation": {"hue": 0.6}}, "augmentation.hue: 0.6 is wrong: it must be less than"),
        ({"augmentation": {"crop_scale": [1, 0.2]}}, "augmentation.crop_scale: [1, 0.2] is wrong"),
        ({"augmentation": {"crop_scale": [0.2, 1.5]}}, "must not exceed 1"),
        ({"augmentation": {"own": "shades.py"}}, 'augmentation.own: "shades.py" is wrong: it must be MODULE:FUNCTION'),
        ({"augmentation": {"blur_sigma": [0, 2.0]}}, "must be two numbers above 0, the smaller first"),
    ],
)
def test_mistake_is_one_sentence_that_names_the_key(content: dict[str, object], sentence: str) -> None:
    assert_refused(PretrainSettings, content, sentence)
