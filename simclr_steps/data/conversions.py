"""What reading changes about the kind of an image, such as colors made gray: noted where it happens, and said once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from simclr_steps.data.readable import File, shown
from simclr_steps.machine.logs import log

TO_GRAY = "colors were made gray"
TO_COLOR = "gray values were repeated as red, green and blue"
TO_WHITE = "transparent parts were made white"
FROM_CMYK = "CMYK was made RGB without its color profile"

_noted: ContextVar[set[str] | None] = ContextVar("noted", default=None)


@contextmanager
def noting() -> Iterator[set[str]]:
    """Collect what is noted while an image is read."""
    found: set[str] = set()
    before = _noted.set(found)
    try:
        yield found
    finally:
        _noted.reset(before)


def note(*conversions: str) -> None:
    """Note what happens to the image that is being read, if anyone collects it."""
    found = _noted.get()
    if found is not None:
        found.update(conversions)


class Conversions:
    """Counts the images to which each of these happened. Parts of one image, in a row, count once."""

    def __init__(self) -> None:
        self._images, self._counts = 0, Counter[str]()
        self._first: dict[str, File] = {}
        self._last: dict[str, File] = {}
        self._file: File | None = None

    def add(self, file: File, conversions: Iterable[str]) -> None:
        """Count an image that was read, or a part of it."""
        self._images += file != self._file
        self._file = file
        for conversion in conversions:
            self._counts[conversion] += file != self._last.get(conversion)
            self._first.setdefault(conversion, file)
            self._last[conversion] = file

    def report(self) -> None:
        """Say at the end, once for each, how many images it happened to, and name the first."""
        for conversion, count in sorted(self._counts.items()):
            first = shown(self._first[conversion])
            log.info("%s in %d of %d images, such as %s", conversion, count, self._images, first)
