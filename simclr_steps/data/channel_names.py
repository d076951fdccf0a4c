"""Channels by the names that an OME-TIFF file gives them: in another order, or among others, they are found."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from simclr_steps.data.readable import UnreadableError


def names_in(ome: str) -> list[str]:
    """Return the names of the first image's channels in the metadata of an OME-TIFF file; "" where one has none."""
    metadata = ElementTree.fromstring(ome)  # noqa: S314  # tifffile has parsed it before, or there would be no axis C
    pixels = next(element for element in metadata.iter() if element.tag.endswith("}Pixels"))
    return [element.get("Name", "") for element in pixels if element.tag.endswith("}Channel")]


def places_of(asked: Sequence[str] | None, found: Sequence[str] | None) -> list[int] | None:
    """Return where the channels that are asked for are among those that a file names, whatever their case.

    It is None where the order decides: nobody asks by name, the file's names are not different ones, or they are of
    another kind, so that none is asked for.

    Raises
    ------
    UnreadableError
        When the file names some of the channels that are asked for and lacks others.
    """
    if not asked or not found:
        return None
    place = {_plain(name): number for number, name in enumerate(found)}
    missing = [name for name in asked if _plain(name) not in place]
    if len(place) < len(found) or len(missing) == len(asked):
        return None
    if missing:
        raise UnreadableError(
            f"its channels are named {', '.join(found)}, none of them {missing[0]}: use its names in `channels`"
        )
    return [place[_plain(name)] for name in asked]


def _plain(name: str) -> str:
    return name.strip().casefold()
