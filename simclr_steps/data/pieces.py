"""Parts of large images, decoded one after the other from files that stay open in between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from simclr_steps.data.boxes import Box
from simclr_steps.data.conversions import noting
from simclr_steps.data.decoding import (
    Decoded,
    check_regular,
    join,
    of_one_channel,
    quietly,
    read_whole,
    reason_of,
    resized,
)
from simclr_steps.data.decoding_processes import in_processes
from simclr_steps.data.measured_files import is_tiff
from simclr_steps.data.readable import File, UnreadableError, check_size
from simclr_steps.data.regions import Channels, Regions, WholeImage
from simclr_steps.data.tiff_regions import TiffRegions
from simclr_steps.settings.datasets import FolderDataset, count_and_names
from simclr_steps.settings.image_format import Reading
from simclr_steps.settings.sizes import Size

Piece = tuple[File, Box]

_PART_BYTES = 1 << 24  # of pieces that a process decodes before it hands over


@dataclass(frozen=True)
class Cutting:
    """How large images are read: which level of a pyramid, and the value of pixels that are missing."""

    reading: Reading
    level: int = 0
    nodata: float | None = None


def reading_of(dataset: FolderDataset, channel_names: list[str] | None) -> Reading:
    """Return how the images of a data set are read, whose channels have these names."""
    height, width = dataset.packed_size
    return Reading(
        height=height,
        width=width,
        channels=count_and_names(dataset.channels)[0],
        channel_names=channel_names,
        fit=dataset.fit,
        planes=dataset.planes,
        channel_axis=dataset.channel_axis,
    )


def cutting_of(dataset: FolderDataset, reading: Reading) -> Cutting:
    """Return how the tiles or boxes of a data set are read."""
    if tiles := dataset.tiles:
        return Cutting(reading, tiles.level, None if tiles.nodata is None else float(tiles.nodata))
    return Cutting(reading)


def decode_pieces(pieces: Iterable[Piece], cutting: Cutting, workers: int) -> Iterator[Decoded | str]:
    """Decode parts of images with `workers` processes and yield the results in their order.

    Pieces of one image should follow each other, as the last file of each process stays open. A piece that cannot be
    read is the reason why; see simclr_steps.data.decoding.

    Raises
    ------
    UserError
        When a process dies.
    """
    form = cutting.reading
    of_one = form.height * form.width * form.channels * 4  # bytes, of float32
    at_once = max(1, _PART_BYTES // of_one)
    try:
        yield from in_processes(partial(_decode_some, cutting=cutting), pieces, at_once, workers)
    finally:
        _LAST.close()


def sizes_of(files: Sequence[File], cutting: Cutting, workers: int) -> Iterator[Size | str]:
    """Yield height and width of images as they are shown, or the reason why one cannot be read."""
    _LAST.close()  # as its file may have changed
    try:
        yield from in_processes(partial(_sizes_of_some, cutting=cutting), files, 1, workers)
    finally:
        _LAST.close()


def open_regions(file: File, cutting: Cutting) -> Regions:
    """Open an image whose parts are to be read.

    Raises
    ------
    UnreadableError
        When it is not read. What is damaged can fail in other ways, too.
    """
    check_regular(file)
    if isinstance(file, Path):
        return _open(file, cutting.reading, cutting.level)
    files: list[Regions] = []
    try:
        for path in file:
            files.append(_open(path, of_one_channel(cutting.reading), cutting.level))
            if files[-1].size != files[0].size:
                (height, width), (first_height, first_width) = files[-1].size, files[0].size
                raise UnreadableError(
                    f"{path.name} is {height} × {width}, and {file[0].name} {first_height} × {first_width}"
                )
    except Exception:
        Channels(files, lambda _: _[0]).close()
        raise
    return Channels(files, partial(join, file, reading=cutting.reading))


def _open(path: Path, reading: Reading, level: int) -> Regions:
    if is_tiff(path):
        return TiffRegions(path, reading, level)
    if level:
        raise UnreadableError(f"it has no levels, and `tiles.level` is {level}: set it to 0, or save it as TIFF")
    with noting() as conversions:
        values = read_whole(path, reading)
    return WholeImage(values, conversions)


class _LastOpened:
    """The file that this process opened last, as the next piece is likely to be of the same."""

    def __init__(self) -> None:
        self._of: tuple[File, Cutting] | None = None
        self._regions: Regions | None = None

    def open(self, file: File, cutting: Cutting) -> Regions:
        """Return an open file."""
        if self._regions is None or self._of != (file, cutting):
            self.close()
            self._regions = open_regions(file, cutting)
            self._of = file, cutting
        return self._regions

    def close(self) -> None:
        """Close the file."""
        if self._regions is not None:
            self._regions.close()
        self._of = self._regions = None


_LAST = _LastOpened()


def _decode_some(pieces: Sequence[Piece], cutting: Cutting) -> list[Decoded | str]:
    return [decode_piece(file, box, cutting) for file, box in pieces]


def decode_piece(file: File, box: Box, cutting: Cutting) -> Decoded | str:
    """Decode a part of an image, or return the reason why it cannot be read."""
    try:
        check_size((box.height, box.width), 1)
        with quietly(), noting() as conversions:
            image = resized(_LAST.open(file, cutting).read(box), cutting.reading, cutting.nodata)
        return replace(image, conversions=frozenset(conversions))
    except Exception as error:  # a damaged file can make a decoder fail in any way
        return reason_of(error, file)


def _sizes_of_some(files: Sequence[File], cutting: Cutting) -> list[Size | str]:
    found: list[Size | str] = []
    for file in files:
        try:
            with quietly():
                found.append(_LAST.open(file, cutting).size)
        except Exception as error:  # a damaged file can make a decoder fail in any way
            found.append(reason_of(error, file))
    return found
