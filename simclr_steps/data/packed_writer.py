"""Write packed data sets as a stream: no more than a few images are held in memory."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from simclr_steps.data.growing_file import GrowingFile
from simclr_steps.data.listing import Listing
from simclr_steps.data.packed import ROWS_OF_TRAIN, PackedImages
from simclr_steps.data.repeated import Digests, digests_of
from simclr_steps.data.scaling import Values, scale
from simclr_steps.data.seen_values import SeenValues
from simclr_steps.data.splits import Rows, SplitNames
from simclr_steps.data.tiles import Keep
from simclr_steps.data.value_ranges import WaitingValues, fixed_limits, found_limits, mean_and_std
from simclr_steps.files import scratch_folder, write_json
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.places import require_claim
from simclr_steps.machine.progress import Progress
from simclr_steps.machine.provenance import Record
from simclr_steps.machine.replaced import check_files
from simclr_steps.settings.base import NO_LABEL, PACKED_SPLITS
from simclr_steps.settings.image_format import Dtype, ImageFormat, Reading
from simclr_steps.settings.value_ranges import ChannelRange, of_each_channel

_CHUNK_BYTES = 1 << 22
_WAITING = "values"  # the name of a file that is gone in the end
_ORIGINS, _PACKED, _LABELED = "origins.parquet", "images.json", "dataset.json"


@dataclass(frozen=True, kw_only=True)
class ImageSource(Listing):
    """Images that wait to be packed, all of one size, and what is known of them.

    `read` takes rows in rising order and yields them again in parts, each with its images: int64 [n], and [n, H, W, C]
    of uint8, or of float32 for values of another `dtype`; a row that cannot be read is not yielded. `keep` drops some
    of what was read, once the range of the values is known.
    """

    reading: Reading
    read: Callable[[Rows], Iterable[tuple[Rows, Values]]]
    dtype: Dtype = "uint8"  # of the originals
    value_range: ChannelRange | list[ChannelRange] = "auto"
    bits: Literal[8, 16] = 8  # of a packed value
    keep: Keep | None = None


def chunk_length(height: int, width: int, channels: int) -> int:
    """Return how many images to read at once."""
    return max(1, _CHUNK_BYTES // (height * width * channels))


def take(chunks: Iterable[Values], rows: Rows) -> Iterator[tuple[Rows, Values]]:
    """Yield the wanted rows, in rising order, of images that come in chunks of any length."""
    start = 0
    for chunk in chunks:
        wanted = rows[slice(*np.searchsorted(rows, [start, start + len(chunk)]))]
        at_once = chunk_length(*chunk.shape[1:])
        for first in range(0, len(wanted), at_once):
            part = wanted[first : first + at_once]
            yield part, chunk[part - start]
        start += len(chunk)


def pack(source: ImageSource, splits: SplitNames, out: Path, *, record: Record) -> PackedImages:
    """Write the arrays of all splits and where their images come from and, last of all, images.json, which is returned.

    `splits` [N] is the split of each row of the source, "" for one that is left out.

    Raises
    ------
    UserError
        When the disk is full, or when unreadable images leave a split without images, or nothing to train on at all.
    """
    with scratch_folder(out / "arrays") as place:
        form, parts = _with_range(source, splits, place, out)
        seen = SeenValues(form)
        written = _write_splits(source, splits, form, seen.counted(parts), place, out)
        (place / _WAITING).unlink(missing_ok=True)
        _require_images(source, splits, written)
        if not written["train"].histogram.any():
            raise UserError(f"{out} would contain no images to train on: check the data set's path and fractions")
        _write_origins(source, written, place, out)
        mean, std = mean_and_std(written["train"].histogram)
        seen.report_packed(std)
        packed = PackedImages(
            image_format=form.model_copy(update={"mean": mean, "std": std}),
            images={split: len(writer.rows) for split, writer in written.items()},
            skipped={split: _skipped(source, splits == split, writer) for split, writer in written.items()},
            pixel_hash=hashlib.sha256(b"".join(writer.content() for writer in written.values())).hexdigest(),
            run=record.finish(),
        )
        require_claim(out)
        for described in (_PACKED, _LABELED):  # the latter describes the images that were there before
            (out / described).unlink(missing_ok=True)
        for file in sorted(place.iterdir(), key=lambda file: file.name != _ORIGINS):  # which shows whose the others are
            file.replace(out / file.name)
    write_json(out / _PACKED, packed.model_dump())
    return packed


def check_place(out: Path) -> None:
    """Raise UserError when `pack` would replace or remove files of the user."""
    check_files(out, (_PACKED, *(f"{split}.images.npy" for split in PACKED_SPLITS)), sign=_ORIGINS)
    check_files(out, (_LABELED,), sign=ROWS_OF_TRAIN)


def _with_range(
    source: ImageSource, splits: SplitNames, place: Path, out: Path
) -> tuple[ImageFormat, Iterable[tuple[Rows, Values]]]:
    """Return the format of the packed images, without mean and deviation, and all images in parts."""
    rows = np.flatnonzero(splits != "")
    wanted = of_each_channel(source.value_range, source.reading.channels)
    limits, parts = fixed_limits(wanted, source.dtype), source.read(rows)
    if limits is None:
        file = GrowingFile(place, _WAITING, out)
        try:
            parts = _watched("read", parts, len(rows))
            waiting = WaitingValues(parts, file.write, place / _WAITING, splits == "train", source.reading.channels)
        finally:
            file.close()
        limits, parts = found_limits(wanted, source.dtype, waiting), waiting.read()
    facts = source.reading.model_dump()
    form = ImageFormat(**facts, dtype=source.dtype, bits=source.bits, value_range=limits, mean=[], std=[])
    watched = _watched("packed", parts, len(rows))
    return form, source.keep.kept(watched, form) if source.keep else watched


def _watched(what: str, parts: Iterable[tuple[Rows, Values]], count: int) -> Iterator[tuple[Rows, Values]]:
    """Yield what is given, and say how far it is."""
    progress = Progress(what, count)
    for rows, images in parts:
        yield rows, images
        progress.add(len(rows))


def _write_splits(
    source: ImageSource,
    splits: SplitNames,
    form: ImageFormat,
    parts: Iterable[tuple[Rows, Values]],
    place: Path,
    out: Path,
) -> dict[str, _SplitWriter]:
    with ExitStack() as stack:
        writers = {split: stack.enter_context(_SplitWriter(source, form, split, place, out)) for split in PACKED_SPLITS}
        for rows, images in parts:
            for split in np.unique(splits[rows]):
                chosen = splits[rows] == split
                writers[split].add(rows[chosen], images[chosen])
        for writer in writers.values():
            writer.finish()
    return writers


class _SplitWriter:
    """Writes the images of one split as they come."""

    def __init__(self, source: ImageSource, form: ImageFormat, split: str, place: Path, out: Path) -> None:
        self.rows = np.empty(0, dtype=np.int64)  # of the images that were added, once finished
        self.digests = np.empty(0, dtype=np.uint64)  # of the same
        self.histogram = np.zeros((form.channels, 1 + form.largest), dtype=np.int64)  # of the packed values
        self._source, self._form, self._split, self._place, self._out = source, form, split, place, out
        self._parts: list[Rows] = []
        self._digests: list[Digests] = []
        self._hash = hashlib.sha256()
        self._images = GrowingFile(place, f"{split}.images.npy", out)

    def __enter__(self) -> _SplitWriter:
        self._images.write(self._header())
        return self

    def __exit__(self, *_: object) -> None:
        self._images.close()

    def add(self, rows: Rows, images: Values) -> None:
        """Append images and the rows of the source that they are."""
        packed = scale(np.ascontiguousarray(images), self._form)
        self._images.write(packed.data)
        self._hash.update(packed.data)
        self._parts.append(rows)
        self._digests.append(digests_of(packed))
        for channel, histogram in enumerate(self.histogram):
            histogram += np.bincount(packed[..., channel].ravel(), minlength=len(histogram))

    def finish(self) -> None:
        """Write the number of images, which was not known before, into the header."""
        self.rows = np.concatenate([self.rows, *self._parts])
        self.digests = np.concatenate([self.digests, *self._digests])
        self._images.write(self._header(), at_start=True)
        self._images.sync()

    def content(self) -> bytes:
        """Return what stands in a hash for the shape and the images."""
        return self._header() + self._hash.digest()

    def _header(self) -> bytes:
        header = io.BytesIO()
        shape = (len(self.rows), *self._form.size, self._form.channels)
        # NumPy leaves room for a longer first axis, so the header's length does not depend on it.
        kind = "|u1" if self._form.bits == 8 else "<u2"
        np.lib.format.write_array_header_1_0(header, {"descr": kind, "fortran_order": False, "shape": shape})
        return header.getvalue()


def _write_origins(source: ImageSource, written: Mapping[str, _SplitWriter], place: Path, out: Path) -> None:
    """Write where all images come from."""
    parts = [
        pa.table(
            {
                "split": pa.array([split] * len(writer.rows), pa.string()),
                "key": pa.array([source.keys[row] for row in writer.rows.tolist()], pa.string()),
                "digest": writer.digests,
            }
        )
        for split, writer in written.items()
    ]
    table = io.BytesIO()
    pq.write_table(pa.concat_tables(parts), table)
    with closing(GrowingFile(place, _ORIGINS, out)) as file:
        file.write(table.getbuffer())
        file.sync()


def _require_images(source: ImageSource, splits: SplitNames, written: Mapping[str, _SplitWriter]) -> None:
    """Raise UserError where a split is left without images, or tiles to train on without a class.

    Splits are assigned before images are read, as images that a subset leaves out are never read.
    """
    state, advice = "readable", "fix the files that are named above, or remove them: the splits are then drawn anew"
    if source.keep and source.keep.dropped:
        state, advice = "readable and kept", "lower min_std of tiles.keep, or fix the files that are named above"
    for split, writer in written.items():
        assigned = source.labels[splits == split]
        if len(assigned) and not len(writer.rows):
            raise UserError(f"none of the {len(assigned)} images of the split {split} is {state}: {advice}")
    lost = np.setdiff1d(source.labels[splits == "train"], [NO_LABEL, *source.labels[written["train"].rows]])
    if len(lost) and source.keep:
        raise UserError(f'none of the train images of class "{source.classes[lost[0]]}" is {state}: {advice}')


def _skipped(source: ImageSource, wanted: npt.NDArray[np.bool_], written: _SplitWriter) -> list[str]:
    """Return the keys of the images of a split that were to be packed and could not be read."""
    rows = np.setdiff1d(np.flatnonzero(wanted), written.rows)
    dropped = source.keep.dropped if source.keep else []
    return [source.keys[row] for row in np.setdiff1d(rows, dropped).tolist()]
