"""Parts of the image that a TIFF file holds; of the pixels around them no more is decoded than their file requires."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from simclr_steps.data.boxes import Box
from simclr_steps.data.measured_files import as_values
from simclr_steps.data.metadata import stored_place
from simclr_steps.data.readable import UnreadableError
from simclr_steps.data.regions import Values
from simclr_steps.data.tiff_files import (
    check_parts,
    known_compression,
    open_file,
    orientation_of,
    parts_of,
    stored_image,
)
from simclr_steps.settings.image_format import Reading
from simclr_steps.settings.sizes import Size

_KEPT_BYTES = 1 << 26  # of decoded strips or tiles, as neighboring parts share them
_JPEG = (6, 7, 34892, 33007)  # numbers of the compressions whose strips and tiles need tables of their page

Array = npt.NDArray[Any]
ReadPart = Callable[[Box], Array]


class TiffRegions:
    """The image of a TIFF file, or a level of its pyramid, from 0, whose parts can be read.

    Raises
    ------
    UnreadableError
        When it holds several images, values that are not read, or no such level. What is damaged can fail in other
        ways, too, here and where it is read.
    """

    def __init__(self, path: Path, reading: Reading, level: int) -> None:
        self._reading, self._path = reading, path
        self._file = open_file(path)
        try:
            self._parts = _of_level(self._file, level)
            check_parts(self._parts)
            first = self._parts[0]
            self._page = first.keyframe
            self.size = self._stored_size = _size(first.shape, first.axes)
            if orientation_of(self._page) >= 5:
                self.size = self.size[1], self.size[0]
            self._readers = [self._reader(part) for part in self._parts]
        except Exception:
            self._file.close()
            raise

    def read(self, box: Box) -> Values:
        """Return the values of a part, [h, w, C]."""
        x, y, width, height = stored_place(
            (box.x, box.y, box.width, box.height), self._stored_size, orientation_of(self._page)
        )
        stored = Box(x, y, width, height)
        with known_compression(self._page):
            arrays = [read(stored) for read in self._readers]
        return as_values(stored_image(arrays, self._parts), self._reading)

    def close(self) -> None:
        """Close the file."""
        self._readers = []
        self._file.close()

    def _reader(self, part: tifffile.TiffPageSeries) -> ReadPart:
        """Return what reads a part of all pages of a series, as one array with the axes of the series."""
        places = [part.axes.index(axis) for axis in "YX"]
        if part.dataoffset is not None:
            whole = self._mapped(part.dataoffset, part.shape, part.dtype)
            return lambda box: _native(_cut(whole, places, box))
        pages = [self._page_reader(page) for page in part.pages]  # none is missing, as was checked

        def read(box: Box) -> Array:
            shape = list(part.shape)
            shape[places[0]], shape[places[1]] = box.height, box.width
            return np.stack([page(box) for page in pages]).reshape(shape)

        return read

    def _page_reader(self, page: Any) -> ReadPart:
        """Return what reads a part of a page, [planes, depth, h, w, samples]."""
        if page.keyframe.is_final:
            whole = self._mapped(page.dataoffsets[0], page.keyframe.shaped, page.keyframe.dtype)
            return lambda box: _native(_cut(whole, [2, 3], box))
        return _Segments(self._file, page).read

    def _mapped(self, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return values that lie in the file as they are, without reading them."""
        return np.memmap(
            self._path, dtype=dtype.newbyteorder(self._file.byteorder), mode="r", offset=offset, shape=shape
        )


class _Segments:
    """The strips or tiles of a page, of which the last that were decoded are kept."""

    def __init__(self, file: tifffile.TiffFile, page: Any) -> None:
        self._file, self._page, self._keyframe = file, page, page.keyframe
        keyframe = self._keyframe
        if keyframe.is_tiled:
            self._depth, self._rows, self._columns = keyframe.tiledepth, keyframe.tilelength, keyframe.tilewidth
        else:
            self._depth, self._columns = 1, keyframe.imagewidth
            self._rows = min(keyframe.rowsperstrip, keyframe.imagelength)
        if self._rows * self._columns > 2 * (Image.MAX_IMAGE_PIXELS or math.inf):
            raise UnreadableError(
                f"it is stored in pieces of {self._rows:,} × {self._columns:,} pixels, too large to be read at once: "
                "save it in tiles, such as tifffile's `tile=(512, 512)`"
            )
        of_one = self._depth * self._rows * self._columns * keyframe.shaped[-1] * keyframe.dtype.itemsize
        self._decoded = lru_cache(maxsize=max(1, _KEPT_BYTES // of_one))(self._decode)

    def read(self, box: Box) -> Array:
        """Return a part of the page, [planes, depth, h, w, samples]."""
        planes, depth, _, _, samples = self._keyframe.shaped
        found = np.empty((planes, depth, box.height, box.width, samples), dtype=self._keyframe.dtype)
        for number in self._numbers(box):
            segment, (plane, layer, top, left, _), shape = self._decoded(number)
            rows = slice(max(box.y, top), min(box.y + box.height, top + shape[1]))
            columns = slice(max(box.x, left), min(box.x + box.width, left + shape[2]))
            here = found[
                plane,
                layer : layer + shape[0],
                rows.start - box.y : rows.stop - box.y,
                columns.start - box.x : columns.stop - box.x,
            ]
            if segment is None:
                here[:] = self._keyframe.nodata
            else:
                here[:] = segment[
                    : len(here), rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
                ]
        return found

    def _numbers(self, box: Box) -> Iterator[int]:
        """Yield the numbers of the strips or tiles that a part touches."""
        planes, depth, height, width, _ = self._keyframe.shaped
        layers = math.ceil(depth / self._depth)
        down, across = math.ceil(height / self._rows), math.ceil(width / self._columns)
        rows = range(box.y // self._rows, math.ceil((box.y + box.height) / self._rows))
        columns = range(box.x // self._columns, math.ceil((box.x + box.width) / self._columns))
        for layer, row, column in product(range(planes * layers), rows, columns):
            yield (layer * down + row) * across + column

    def _decode(self, number: int) -> tuple[Array | None, tuple[int, ...], tuple[int, ...]]:
        """Return a strip or tile [depth, h, w, samples], None for one without values, its place and its shape."""
        offset, count = self._page.dataoffsets[number], self._page.databytecounts[number]
        data = None
        if offset and count:
            self._file.filehandle.seek(offset)
            data = self._file.filehandle.read(count)
        tables = {}
        if self._keyframe.compression in _JPEG:
            tables = {"jpegtables": self._page.jpegtables, "jpegheader": self._keyframe.jpegheader}
        segment, place, shape = self._keyframe.decode(data, number, **tables)
        return segment, place, segment.shape if segment is not None else shape


def _of_level(file: tifffile.TiffFile, level: int) -> list[tifffile.TiffPageSeries]:
    """Return the parts of a file's image, or of a smaller copy of it."""
    if level == 0:
        return parts_of(file)
    levels = file.series[0].levels
    if level >= len(levels):
        found = "1 level" if len(levels) == 1 else f"{len(levels)} levels"
        raise UnreadableError(f"it has {found}, and `tiles.level: {level}` counts from 0: choose a lower number")
    return [levels[level]]


def _size(shape: tuple[int, ...], axes: str) -> Size:
    if not {"Y", "X"} <= set(axes):
        raise UnreadableError(f"its axes are {axes}, without Y and X")
    return shape[axes.index("Y")], shape[axes.index("X")]


def _cut(values: Array, rows_and_columns: list[int], box: Box) -> Array:
    """Return a part of an array whose rows and columns are the given axes."""
    places: list[slice] = [slice(None)] * values.ndim
    rows, columns = rows_and_columns
    places[rows], places[columns] = slice(box.y, box.y + box.height), slice(box.x, box.x + box.width)
    return values[tuple(places)]


def _native(values: Array) -> Array:
    return np.array(values, dtype=values.dtype.newbyteorder("="))
