"""The block `datasets.NAME.tiles`: how large images are cut."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from simclr_steps.settings.base import Settings
from simclr_steps.settings.sizes import ViewSize


class Keep(Settings):
    """Which tiles are kept."""

    min_std: float = Field(
        ge=0,
        lt=1,
        description="Least standard deviation of a tile's pixels, in the channel where it is largest, as a share of "
        "the value range: of 8 bits, 0.02 is 5 gray levels. Empty background has less.",
    )


def _check_nodata(value: Any) -> Any:
    if value is not None and value != "nan" and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise ValueError("must be a number or nan")
    return value


class Tiles(Settings):
    """Tiles that images are cut into, row by row from the upper left corner; what is left at the edges falls off."""

    size: ViewSize = Field(
        description="Side of a tile in pixels of the image, or `[height, width]`; it is then resized to `image_size`."
    )
    stride: ViewSize | None = Field(
        None,
        description="Pixels from one tile to the next, down and across: a number, or two. Null takes `size`, and a "
        "smaller number makes tiles overlap.",
    )
    keep: Keep | None = Field(None, description="Drops tiles with nothing on them; null keeps all.")
    level: int = Field(
        0, ge=0, description="Level of a TIFF pyramid, from 0, which is the largest; `size` counts in its pixels."
    )
    nodata: Annotated[float | str | None, BeforeValidator(_check_nodata)] = Field(
        None,
        description="Value of pixels without data, or `nan`. Pixels that have it in all channels count neither in "
        "`keep` nor in the value range, and are packed as 0; a tile of nothing else is dropped.",
    )
