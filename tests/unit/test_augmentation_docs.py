"""docs/augmentation.md explains every key, and its pictures show what the presets do today."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simclr_steps.settings.augmentation import AUGMENTATIONS, Augmentation
from tests.augmentation_pictures import digits, photographs, picture

DOCS = Path(__file__).parents[2] / "docs"


def test_every_key_has_a_line() -> None:
    text = (DOCS / "augmentation.md").read_text()
    assert [key for key in Augmentation.model_fields if f"`{key}`" not in text and f"{key}:" not in text] == []


@pytest.mark.parametrize("preset", AUGMENTATIONS)
def test_every_preset_has_a_small_picture(preset: str) -> None:
    assert f"(augmentation_{preset}.png)" in (DOCS / "augmentation.md").read_text()
    assert (DOCS / f"augmentation_{preset}.png").stat().st_size < 150_000


@pytest.mark.parametrize("preset", ["color", "digits", "photos"])
def test_pictures_are_what_the_command_draws(preset: str) -> None:
    drawn = picture(preset, digits() if preset == "digits" else photographs()).convert("RGB")
    committed = Image.open(DOCS / f"augmentation_{preset}.png").convert("RGB")
    assert drawn.size == committed.size
    difference = np.abs(np.asarray(drawn, dtype=np.float32) - np.asarray(committed, dtype=np.float32))
    assert difference.mean() < 3  # of 255; another Pillow may choose another palette
