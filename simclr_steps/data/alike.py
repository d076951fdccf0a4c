"""All images of a data set have values of one type, as they share one range, and one number of channels."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from simclr_steps.data.decoding import Decoded
from simclr_steps.data.readable import File, shown
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.image_format import counted_channels


def first_readable(images: Iterable[tuple[File, Decoded | str]], channels: int) -> tuple[Path, Decoded] | None:
    """Return the first image that is readable, which all others are compared with; None if there is none.

    Those after it are not asked for.

    Raises
    ------
    UserError
        When it has another number of channels than the settings say.
    """
    for file, image in images:
        if isinstance(image, Decoded):
            found = image.values.shape[2]
            if found != channels:
                raise UserError(
                    f"channels: {shown(file)} has {counted_channels(found)}, but {channels} are asked for: write "
                    f"`channels: {found}` or their names"
                )
            return shown(file), image
    return None


def check_alike(file: File, image: Decoded, first: tuple[Path, Decoded] | None) -> None:
    """Raise UserError when an image has values of another type, or other channels, than the first."""
    if first is None:
        return
    other, example = first
    if image.dtype != example.dtype:
        raise UserError(
            f"{other} has {example.dtype} values and {shown(file)} {image.dtype}: convert one of them, or make "
            "each kind a data set with a folder of its own, as all images of one share a range"
        )
    found, expected = image.values.shape[2], example.values.shape[2]
    if found != expected:
        raise UserError(
            f"{other} has {counted_channels(expected)} and {shown(file)} {found}: make them equal, or "
            "make each kind a data set with a folder of its own"
        )
