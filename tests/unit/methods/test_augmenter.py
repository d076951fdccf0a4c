"""An augmentation fits the images that it is for."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from simclr_steps.methods.augmenter import tell_left_out
from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.reading import check


@pytest.mark.parametrize(
    ("content", "keys"),
    [
        ({}, "saturation, hue, grayscale_probability"),
        ({"preset": "digits", "hue": 0}, "saturation"),
        ({"jitter_probability": 0, "grayscale_probability": 0}, None),
    ],
)
def test_what_only_color_images_have_is_left_out_of_others_and_said(
    content: dict[str, Any], keys: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    settings = check(Augmentation, content)
    tell_left_out(settings, 3, is_color=True)
    tell_left_out(None, 5, is_color=False)
    assert not caplog.messages
    tell_left_out(settings, 5, is_color=False)
    sentence = f"augmentation leaves out {keys}: 3 color channels have that, and these images have 5"
    assert caplog.messages == ([sentence] if keys else [])
