"""The random views of images: a preset and its keys."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from simclr_steps.settings.base import Probability, Settings

AUGMENTATIONS: dict[str, dict[str, Any]] = {  # the presets, by what differs from the defaults
    "color": {},
    "digits": {
        "crop_scale": (0.5, 1.0),
        "horizontal_flip_probability": 0.0,
        "rotation_degrees": 20.0,
        "grayscale_probability": 0.0,
    },
    "photos": {
        "crop_scale": (0.08, 1.0),
        "brightness": 0.8,
        "contrast": 0.8,
        "saturation": 0.8,
        "hue": 0.2,
        "grayscale_probability": 0.2,
        "blur_probability": 0.5,
    },
}


class Augmentation(Settings):
    """How random views are made: as a preset says, but for the keys written beside it."""

    preset: Literal["color", "digits", "photos"] = Field(
        "color",
        description="`color`: the defaults below, for small color images such as CIFAR-10's. `digits`: crops from "
        "0.5, no flip, turns of up to 20 degrees, no gray. `photos`: as SimCLR for ImageNet, crops from 0.08, strong "
        "jitter of 0.8, 0.8, 0.8, 0.2, gray in 0.2 and blur in 0.5 of the views.",
    )
    crop_probability: Probability = Field(1.0, description="Chance of a crop; the view else shows the whole image.")
    crop_scale: tuple[float, float] = Field((0.2, 1.0), description="Range of the crop's share of the image's area.")
    crop_ratio: tuple[float, float] = Field((3 / 4, 4 / 3), description="Range of the crop's width by its height.")
    horizontal_flip_probability: Probability = Field(0.5, description="Chance of a left-right flip.")
    vertical_flip_probability: Probability = Field(0.0, description="Chance of an up-down flip.")
    rotation_probability: Probability = Field(1.0, description="Chance of a turn.")
    rotation_degrees: float = Field(0.0, ge=0, le=180, description="Largest turn to either side, in degrees.")
    jitter_probability: Probability = Field(0.8, description="Chance that the four color changes are made at all.")
    brightness: float = Field(0.4, ge=0, description="Largest change of brightness, as a share.")
    contrast: float = Field(0.4, ge=0, description="Largest change of contrast, as a share.")
    saturation: float = Field(0.4, ge=0, description="Largest change of saturation, as a share; color images only.")
    hue: float = Field(0.1, ge=0, le=0.5, description="Largest turn of the hue, as a share of the color circle.")
    grayscale_probability: Probability = Field(0.1, description="Chance that a color image turns gray.")
    blur_probability: Probability = Field(0.0, description="Chance of a Gaussian blur.")
    blur_sigma: tuple[float, float] = Field((0.1, 2.0), description="Range of the blur's sigma in pixels.")
    solarize_probability: Probability = Field(0.0, description="Chance that bright pixels are inverted.")
    solarize_threshold: Probability = Field(0.5, description="Least brightness that is inverted; 1 is white.")

    @model_validator(mode="wrap")
    @classmethod
    def _fill_in(cls, content: Any, build: ModelWrapValidatorHandler[Augmentation]) -> Augmentation:
        """Take from the preset what is not written, and leave it unset, so that a grid can change the preset."""
        if not isinstance(content, dict):
            return build(content)
        settings = build(AUGMENTATIONS.get(str(content.get("preset")), {}) | content)
        settings.model_fields_set.intersection_update(content)
        return settings

    @model_serializer(mode="wrap")
    def _dump(self, dump: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """Leave the preset's name out of a whole dump, which is equal for equal augmentations however written."""
        content: dict[str, Any] = dump(self)
        return content if info.exclude_unset else {key: content[key] for key in content if key != "preset"}

    @field_validator("crop_scale", "crop_ratio", "blur_sigma", mode="before")
    @classmethod
    def _take_lists(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("crop_scale", "crop_ratio", "blur_sigma")
    @classmethod
    def _check_range(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 < value[0] <= value[1]:
            raise ValueError("must be two numbers above 0, the smaller first")
        return value

    @field_validator("crop_scale")
    @classmethod
    def _check_share(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[1] > 1:
            raise ValueError("must not exceed 1")
        return value
