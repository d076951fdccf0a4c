"""What the values of packed images mean; stored in dataset.json and in every model."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from simclr_steps.settings.sizes import Size

Dtype = Literal["uint8", "uint16", "float32"]
TYPES: tuple[str, ...] = get_args(Dtype)
ANY_TYPE = "uint8, uint16 or float32"
Fit = Literal["crop", "pad"]
LIMITS_OF_8_BITS = (0.0, 255.0)


def _check_planes(value: Any) -> Any:
    if value not in ("max", "mean") and (type(value) is not int or value < 0):
        raise ValueError("must be max, mean, or the number of a plane, from 0")
    return value


Planes = Annotated[Literal["max", "mean"] | Annotated[int, Field(ge=0)], BeforeValidator(_check_planes)]


class Reading(BaseModel):
    """How image files become arrays of one size and one number of channels, with their values as they are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    height: int  # pixels
    width: int
    channels: int
    channel_names: list[str] | None = None  # as the user named them; such channels are not colors
    fit: Fit = "crop"
    planes: Planes | None = None  # of the axes Z and T
    channel_axis: int | None = None

    @property
    def size(self) -> Size:
        """Height and width."""
        return self.height, self.width

    @property
    def is_color(self) -> bool:
        """Whether the channels are red, green and blue."""
        return self.channels == 3 and self.channel_names is None

    @property
    def is_picture(self) -> bool:
        """Whether the channels are a gray level or colors, one of which is made from the other if need be."""
        return self.is_color or (self.channels == 1 and self.channel_names is None)

    def named(self, channel: int) -> str:
        """Return what a message calls a channel."""
        return self.channel_names[channel] if self.channel_names else f"channel {channel}"


class ImageFormat(Reading):
    """The format that all images of a data set have, and what became of their originals' values.

    An original value x of channel c, with the range [low, high] of that channel, was packed as
    round(largest · clip((x - low) / (high - low), 0, 1)), and networks read a packed value divided by `largest`.
    """

    dtype: Dtype = "uint8"  # of the originals
    bits: Literal[8, 16] = 8  # of a packed value
    value_range: list[tuple[float, float]]  # of each channel: the original values that are packed as 0 and as `largest`
    mean: list[float]  # of each channel over the train and unlabeled images, as networks read them, in [0, 1]
    std: list[float]  # both are empty where they are not known

    @classmethod
    def of_8_bits(cls, size: Size, channels: int) -> ImageFormat:
        """Return the format of images whose originals had 8 bits, and whose mean and std are not known."""
        height, width = size
        ranges = [LIMITS_OF_8_BITS] * channels
        return cls(height=height, width=width, channels=channels, value_range=ranges, mean=[], std=[])

    @property
    def is_photo(self) -> bool:
        """Whether the originals are gray levels or colors of 8 bits, which figures show as they are, however dark."""
        return self.is_picture and self.dtype == "uint8"

    @property
    def largest(self) -> int:
        """The largest packed value."""
        return (1 << self.bits) - 1

    @property
    def packed_dtype(self) -> Literal["uint8", "uint16"]:
        """The type of a packed value."""
        return "uint8" if self.bits == 8 else "uint16"

    def __str__(self) -> str:
        """Return the format in words, for the log."""
        return f"{self.height} × {self.width} × {self.channels} pixels"


def counted_channels(channels: int) -> str:
    """Return a number of channels in words, such as "1 channel"."""
    return "1 channel" if channels == 1 else f"{channels} channels"
