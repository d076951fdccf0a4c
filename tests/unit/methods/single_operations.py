"""Augmentations that do nothing but what is asked for."""

from __future__ import annotations

from simclr_steps.settings.augmentation import Augmentation

STRENGTHS = {"brightness": 0.8, "contrast": 0.8, "saturation": 0.8, "hue": 0.5}


def only(**settings: object) -> Augmentation:
    """Return settings that do nothing but what is asked for."""
    nothing: dict[str, object] = {
        "crop_scale": (1.0, 1.0),
        "crop_ratio": (1.0, 1.0),
        "horizontal_flip_probability": 0.0,
        "jitter_probability": 0.0,
        "grayscale_probability": 0.0,
    }
    return Augmentation.model_validate(nothing | settings)
