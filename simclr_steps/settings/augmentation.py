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

from simclr_steps.settings.base import MODULE_AND_FUNCTION, Probability, Settings

AUGMENTATIONS: dict[str, dict[str, Any]] = {  # the presets, by what differs from the defaults
    "color": {},
    "digits": {
        "crop_scale": (0.5, 1.0),
        "horizontal_flip_probability": 0.0,
        "rotation_degrees": 20.0,
        "grayscale_probability": 0.0,
    },
    "microscopy": {
        "vertical_flip_probability": 0.5,
        "quarter_turns": True,
        "gamma": 0.5,
        "saturation": 0.0,
        "hue": 0.0,
        "grayscale_probability": 0.0,
        "noise_std": 0.02,
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
    """How random views are generated: a preset, which the other keys override."""

    preset: Literal["color", "digits", "microscopy", "photos"] = Field(
        "color",
        description="`color`: the defaults below, for small color images such as CIFAR-10's. `digits`: crops from "
        "0.5, no flips, rotations of up to 20 degrees, no grayscale. `microscopy`: for any number of channels and "
        "objects in any orientation, flips and quarter turns, gamma of 0.5, noise of 0.02, no saturation, hue and "
        "grayscale. `photos`: as in SimCLR for ImageNet, crops from "
        "0.08, strong jitter (0.8, 0.8, 0.8, 0.2), grayscale in 0.2 and blur in 0.5 of the views. Pictures of all are "
        "in [docs/augmentation.md](../docs/augmentation.md).",
    )
    crop_probability: Probability = Field(
        1.0, description="Probability of a crop; otherwise, the view shows the whole image."
    )
    crop_scale: tuple[float, float] = Field(
        (0.2, 1.0), description="Range of the crop's area as a fraction of the image's."
    )
    crop_ratio: tuple[float, float] = Field(
        (3 / 4, 4 / 3), description="Range of the crop's aspect ratio, width / height."
    )
    horizontal_flip_probability: Probability = Field(0.5, description="Probability of a left-right flip.")
    vertical_flip_probability: Probability = Field(0.0, description="Probability of an up-down flip.")
    quarter_turns: bool = Field(
        False,
        description="Turn each view by 0, 90, 180 or 270 degrees, each as likely; a view that is not square by 0 or "
        "180.",
    )
    rotation_probability: Probability = Field(1.0, description="Probability of a rotation.")
    rotation_degrees: float = Field(0.0, ge=0, le=180, description="Maximum rotation in either direction, in degrees.")
    jitter_probability: Probability = Field(0.8, description="Probability of applying the five changes below.")
    brightness: float = Field(
        0.4,
        ge=0,
        description="Maximum relative change in brightness. This key, `contrast` and `gamma` change a color image as a "
        "whole, and each channel separately if the channels are not colors.",
    )
    contrast: float = Field(0.4, ge=0, description="Maximum relative change in contrast.")
    gamma: float = Field(
        0.0,
        ge=0,
        description="Strength of the gamma correction, which raises values to a power from 1 / (1 + gamma) to 1 + "
        "gamma before the other changes.",
    )
    saturation: float = Field(0.4, ge=0, description="Maximum relative change in saturation; only for color images.")
    hue: float = Field(
        0.1,
        ge=0,
        le=0.5,
        description="Maximum shift in hue, as a fraction of the color wheel; only for color images.",
    )
    grayscale_probability: Probability = Field(0.1, description="Probability of converting a color image to grayscale.")
    blur_probability: Probability = Field(0.0, description="Probability of a Gaussian blur.")
    blur_sigma: tuple[float, float] = Field((0.1, 2.0), description="Range of the blur's sigma in pixels.")
    solarize_probability: Probability = Field(0.0, description="Probability of inverting bright pixels.")
    solarize_threshold: Probability = Field(0.5, description="Brightness from which pixels are inverted; 1 is white.")
    noise_std: float = Field(
        0.0,
        ge=0,
        description="Standard deviation of Gaussian noise, independent for each pixel and channel; 1 is white.",
    )
    channel_drop_probability: Probability = Field(
        0.0, description="Probability of making a channel black; one channel always remains."
    )
    own: str | None = Field(
        None,
        description="Your own `MODULE:FUNCTION`, imported from the working folder, which "
        "changes the views after all of the above. It is called as `FUNCTION(views, keys)` with float32 "
        "[N, channels, height, width] in [0, 1] and a key for each view, int64 [N], and must return the same kind; see "
        "[docs/augmentation.md](../docs/augmentation.md#your-own).",
    )

    @property
    def of_color(self) -> list[str]:
        """The keys that change something, but only in images of red, green and blue."""
        jitters = [key for key in ("saturation", "hue") if getattr(self, key) > 0 and self.jitter_probability > 0]
        return [*jitters, *(["grayscale_probability"] if self.grayscale_probability > 0 else [])]

    @model_validator(mode="wrap")
    @classmethod
    def _fill_in(cls, content: Any, build: ModelWrapValidatorHandler[Augmentation]) -> Augmentation:
        """Take from the preset what is not written, and leave it unset, so that a grid can change the preset."""
        if isinstance(content, str):
            raise ValueError(f"must be a block of keys, as in {{preset: {content}}}")
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

    @field_validator("own")
    @classmethod
    def _check_own(cls, value: str | None) -> str | None:
        if value is not None and not MODULE_AND_FUNCTION.fullmatch(value):
            raise ValueError("must be MODULE:FUNCTION")
        return value

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
