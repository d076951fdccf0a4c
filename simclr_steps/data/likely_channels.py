"""Whether the names of images suggest that each channel has a file of its own."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

_TOKEN = re.compile(r"[A-Za-z]+|\d+")
_LONGEST = 8  # characters of a channel in a name, as in 2, DAPI or mCherry
_MOST_CHANNELS = 6
_LOOKED_AT = 2000  # names
_COMPLETE = 0.9  # share of the files that belong to an image with all channels


def likely_channels(paths: Sequence[str]) -> dict[str, str] | None:
    """Return the files of one image by the channels that their names suggest, such as G and R; None if none do.

    The names are equal but for one short token, of which there are few, and nearly all files belong to an image that
    has all of them. Names that are no more than this token say nothing.
    """
    names = [PurePosixPath(path) for path in paths[:_LOOKED_AT]]
    places = max((len(_TOKEN.findall(name.stem)) for name in names), default=0)
    for place in range(1, places + 1):  # from the end, where channels mostly are
        images: dict[tuple[str, str, str], dict[str, str]] = defaultdict(dict)
        for name in names:
            tokens = list(_TOKEN.finditer(name.stem))
            if 1 < len(tokens) >= place and len(tokens[-place][0]) <= _LONGEST:
                token = tokens[-place]
                image = str(name.parent), name.stem[: token.start()], name.stem[token.end() :] + name.suffix
                images[image][token[0]] = str(name)
        channels = {channel for files in images.values() for channel in files}
        whole = [files for files in images.values() if len(files) == len(channels)]
        if (
            2 <= len(channels) <= _MOST_CHANNELS
            and len(whole) > 1
            and len(whole) * len(channels) >= _COMPLETE * len(names)
        ):
            return whole[0]
    return None
