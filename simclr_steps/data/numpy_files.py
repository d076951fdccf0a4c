"""Read images from NumPy's files, an .npz file or a folder of .npy files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from simclr_steps.data.array_listing import list_arrays
from simclr_steps.data.listing import Listing
from simclr_steps.data.packed_writer import ImageSource, take
from simclr_steps.data.scaling import Values, too_large
from simclr_steps.data.splits import Rows
from simclr_steps.data.stored_arrays import StoredArray
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.datasets import ArraysDataset, count_and_names
from simclr_steps.settings.image_format import Reading, counted_channels


def read_arrays(dataset: ArraysDataset) -> ImageSource:
    """Return the images of arrays; those of an .npz file are loaded one split after the other, as they are read.

    Raises
    ------
    UserError
        When the name, dtype, shape, length or labels of an array are wrong, naming the array.
    """
    listing = list_arrays(dataset)
    height, width, channels = listing.shape

    def read(rows: Rows) -> Iterator[tuple[Rows, Values]]:
        for part, values in take((_channels_last(array, dataset.layout) for array in listing.images.values()), rows):
            yield part, _checked(values, part, listing.names)

    return ImageSource(
        **{one.name: getattr(listing, one.name) for one in fields(Listing)},
        reading=Reading(
            height=height, width=width, channels=channels, channel_names=_channel_names(dataset, listing.shape)
        ),
        read=read,
        dtype=listing.dtype,
        value_range=dataset.value_range,
        bits=dataset.bits,
    )


def _channel_names(dataset: ArraysDataset, shape: tuple[int, int, int]) -> list[str] | None:
    """Return the channels' names, if they are given.

    Raises
    ------
    UserError
        When the settings count or name others than there are.
    """
    count, names = count_and_names(shape[2] if dataset.channels is None else dataset.channels)
    if count != shape[2]:
        raise UserError(
            f"channels: the arrays in {dataset.path} have {counted_channels(shape[2])}, but {count} are given: fix it"
        )
    if isinstance(dataset.value_range, list) and len(dataset.value_range) != count:
        ranges = f"{len(dataset.value_range)} ranges"
        raise UserError(f"value_range: {ranges} for {counted_channels(count)}: give one for each")
    return names


def _channels_last(array: StoredArray, layout: str) -> npt.NDArray[Any]:
    """Return the images of an array, [N, H, W, C]."""
    images = array.load()
    if images.ndim == 3:
        return images[..., None]
    return np.moveaxis(images, 1, -1) if layout == "NCHW" else images


def _checked(values: npt.NDArray[Any], rows: Rows, names: Sequence[str]) -> Values:
    """Return images as they are packed or wait for their range: uint8, or float32 for other types.

    Raises
    ------
    UserError
        When values are NaN, infinite or too large.
    """
    if values.dtype == np.uint8:
        return values
    wrong = (~np.isfinite(values)).sum(axis=(1, 2, 3))
    for row in np.flatnonzero(wrong):
        raise UserError(
            f"path: {wrong[row]:,} of the {values[row].size:,} values of image {names[rows[row]]} are NaN or infinite: "
            "replace them"
        )
    for row, image in zip(rows, values, strict=True):
        if reason := too_large(image):
            raise UserError(f"path: image {names[row]} cannot be packed ({reason})")
    return values.astype(np.float32)
