"""Image files of any origin, read as those were that a network was trained on, a batch at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from simclr_steps.data.boxes import NOWHERE, box_columns
from simclr_steps.data.conversions import Conversions
from simclr_steps.data.cut_images import check_boxes, read_sizes
from simclr_steps.data.decoding import Decoded
from simclr_steps.data.decoding_processes import decode_all
from simclr_steps.data.folder_listing import path_of
from simclr_steps.data.image_files import find_images
from simclr_steps.data.image_index import ImageFile, channel_columns, index_table, other_columns
from simclr_steps.data.image_tables import OF_CHANNEL, read_lines
from simclr_steps.data.measured_files import tell_order_of_channels
from simclr_steps.data.packed import Pixels
from simclr_steps.data.parts_of_images import columns_of, in_order_of_files
from simclr_steps.data.pieces import Cutting, decode_pieces
from simclr_steps.data.scaling import as_packed
from simclr_steps.data.seen_values import SeenValues
from simclr_steps.data.skipped import report_skipped
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.machine.progress import Progress
from simclr_steps.settings.image_format import ImageFormat

_FILES_PER_WORKER = 64  # fewer are decoded before one more process has started


@dataclass(frozen=True)
class Batch:
    """Some images: `columns` tell where each is, [B] by name, and `images` are their packed values, [B, H, W, C].

    The column path names each image. Where its channels have a file each, path.NAME is that of each channel. Of boxes,
    parent, x, y, width and height say which part of which file it is.
    """

    columns: dict[str, Sequence[str]]
    images: Pixels


class NewImages:
    """The images below a folder, or those that a CSV file lists, cut, resized and scaled as a format says.

    Where the CSV file has the columns x, y, width and height, its images are these parts of the files, and those of one
    file follow each other.

    Parameters
    ----------
    images
        A folder, in which images are found at any depth, or a CSV file with a column path, or with a column path.NAME
        for each channel that the format names, of which the first names the image. Names are relative to the folder, or
        to the file's.
    form
        The format of the packed images that the network was trained on.
    doing
        What is done with the images, in a word, for the progress in the log; whoever takes the batches counts them.

    Raises
    ------
    UserError
        When there is no image, or a line of the CSV file is wrong.
    """

    def __init__(self, images: Path, form: ImageFormat, doing: str) -> None:
        self._images, self._form = images, form
        self._base = images.parent if images.is_file() else images
        self._files = _listed(images, form)
        tell_order_of_channels(path_of(self._base, self._files[0]), form)
        self._seen, self._conversions = SeenValues(form), Conversions()
        self.blank = np.empty((0, *form.size, form.channels), dtype=form.packed_dtype)  # a batch of no images
        self.skipped: list[str] = []  # names of those that were not readable
        self.progress = Progress(doing, len(self._files))

    def batches(self, size: int, workers: int | None) -> Iterator[Batch]:
        """Decode the images and yield them in batches, without those that are unreadable.

        Raises
        ------
        UserError
            At once, when a box lies outside its file; at the end, when no image was readable.
        """
        workers = min(workers or len(os.sched_getaffinity(0)), 1 + len(self._files) // _FILES_PER_WORKER)
        images = zip(self._files, self._decoded(workers), strict=True)
        decoded, first_reason = ((file, self._counted(file, image)) for file, image in images), ""
        while part := list(islice(decoded, size)):
            readable = []
            for file, image in part:
                if isinstance(image, str):
                    report_skipped(path_of(self._base, file), image, before=len(self.skipped))
                    first_reason = first_reason or f"{file.name}: {image}"
                    self.skipped.append(file.title)
                    self.progress.add(1)
                else:
                    readable.append((file, image))
            if readable:
                stacked = np.stack([image for _, image in readable], dtype=self._form.packed_dtype)
                yield Batch(_columns([file for file, _ in readable], self._form), stacked)
        if len(self.skipped) == len(self._files):
            raise UserError(
                f"--images: none of the {len(self._files)} images in {self._images} is readable, the first of them "
                f"being {first_reason}"
            )

    def report(self, what: str, out: Path) -> None:
        """Say at the end what was made of how many images, what these were like, and how many were skipped."""
        log.info("%s each of %d images: %s", what, len(self._files) - len(self.skipped), out)
        self._conversions.report()
        self._seen.report_new()
        if self.skipped:
            log.warning(
                "%d unreadable images have no row: the table's metadata list them as skipped", len(self.skipped)
            )

    def _decoded(self, workers: int) -> Iterator[Decoded | str]:
        paths = (path_of(self._base, file) for file in self._files)
        if self._files[0].box is None:
            return decode_all(paths, self._form, workers)
        cutting = Cutting(self._form)
        log.info("reading the sizes of the images")
        check_boxes(self._images, self._files, read_sizes(self._base, self._files, cutting, workers))
        boxes = (file.box or NOWHERE for file in self._files)
        return decode_pieces(zip(paths, boxes, strict=True), cutting, workers)

    def _counted(self, file: ImageFile, image: Decoded | str) -> Pixels | str:
        """Return an image as `as_packed` does, counted with its values if it is readable."""
        packed = as_packed(image, self._form)
        if isinstance(image, Decoded) and not isinstance(packed, str):
            self._seen.add(image.values[None])
            self._conversions.add(path_of(self._base, file), image.conversions)
        return packed


def _listed(images: Path, form: ImageFormat) -> list[ImageFile]:
    if images.is_file():
        channels = channel_columns(images, form.channels, form.channel_names) if form.channel_names else None
        names = [f"{OF_CHANNEL}{name}" for name in channels or []] or ["path"]
        columns = [*names, *box_columns(list(next(read_lines(images))[1]), images)]
        if unused := other_columns(images, columns):
            log.info("unused columns: %s", ", ".join(unused))
        files = index_table(images, columns)
        return in_order_of_files(files) if files[0].box else files
    if not images.is_dir():
        raise UserError(f"--images: {images} does not exist: give a folder of images or a CSV file")
    return [ImageFile(name, "", "unlabeled") for name in find_images(images)]


def _columns(files: Sequence[ImageFile], form: ImageFormat) -> dict[str, Sequence[str]]:
    names: dict[str, Sequence[str]] = {"path": [file.title for file in files]}
    if files[0].of_channels:
        of_each = zip(*(file.of_channels for file in files), strict=True)
        names |= {f"{OF_CHANNEL}{name}": paths for name, paths in zip(form.channel_names or [], of_each, strict=True)}
    return {**names, **columns_of(files)} if files[0].box else names
