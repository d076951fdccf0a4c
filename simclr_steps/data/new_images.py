"""Image files of any origin, read as those were that a network was trained on, a batch at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from simclr_steps.data.boxes import BOX_COLUMNS
from simclr_steps.data.decoding import Decoded
from simclr_steps.data.decoding_processes import decode_all
from simclr_steps.data.folder_listing import path_of
from simclr_steps.data.image_files import find_images
from simclr_steps.data.image_index import ImageFile, channel_columns, index_table, other_columns
from simclr_steps.data.image_tables import OF_CHANNEL
from simclr_steps.data.measured_files import tell_order_of_channels
from simclr_steps.data.packed import Pixels
from simclr_steps.data.scaling import as_packed
from simclr_steps.data.seen_values import SeenValues
from simclr_steps.data.skipped import report_skipped
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.machine.progress import Progress
from simclr_steps.settings.image_format import ImageFormat

NamedImages = tuple[list[str], Pixels]  # names, and their images [B, H, W, C]

_FILES_PER_WORKER = 64  # fewer are decoded before one more process has started


class NewImages:
    """The images below a folder, or those that a CSV file lists, cut, resized and scaled as a format says.

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
        When there is no image, or a CSV file lists boxes.
    """

    def __init__(self, images: Path, form: ImageFormat, doing: str) -> None:
        self._images, self._form = images, form
        self._base = images.parent if images.is_file() else images
        self._files = _listed(images, form)
        tell_order_of_channels(path_of(self._base, self._files[0]), form)
        self._seen = SeenValues(form)
        self.blank = np.empty((0, *form.size, form.channels), dtype=form.packed_dtype)  # a batch of no images
        self.skipped: list[str] = []  # names of those that were not readable
        self.progress = Progress(doing, len(self._files))

    def batches(self, size: int, workers: int | None) -> Iterator[NamedImages]:
        """Decode the images and yield them in batches, without those that are unreadable.

        Raises
        ------
        UserError
            At the end, when none was readable.
        """
        workers = min(workers or len(os.sched_getaffinity(0)), 1 + len(self._files) // _FILES_PER_WORKER)
        paths = (path_of(self._base, file) for file in self._files)
        images = (self._counted(image) for image in decode_all(paths, self._form, workers))
        decoded, first_reason = zip(self._files, images, strict=True), ""
        while part := list(islice(decoded, size)):
            readable = []
            for file, image in part:
                if isinstance(image, str):
                    report_skipped(path_of(self._base, file), image, before=len(self.skipped))
                    first_reason = first_reason or f"{file.name}: {image}"
                    self.skipped.append(file.name)
                    self.progress.add(1)
                else:
                    readable.append((file.name, image))
            if readable:
                stacked = np.stack([image for _, image in readable], dtype=self._form.packed_dtype)
                yield [name for name, _ in readable], stacked
        if len(self.skipped) == len(self._files):
            raise UserError(
                f"--images: none of the {len(self._files)} images in {self._images} is readable, the first of them "
                f"being {first_reason}"
            )

    def report(self, what: str, out: Path) -> None:
        """Say at the end what was made of how many images, which values they had, and how many were skipped."""
        log.info("%s each of %d images: %s", what, len(self._files) - len(self.skipped), out)
        self._seen.report_new()
        if self.skipped:
            log.warning(
                "%d unreadable images have no row: the table's metadata list them as skipped", len(self.skipped)
            )

    def _counted(self, image: Decoded | str) -> Pixels | str:
        """Return an image as `as_packed` does, with its values counted if it is readable."""
        packed = as_packed(image, self._form)
        if isinstance(image, Decoded) and not isinstance(packed, str):
            self._seen.add(image.values[None])
        return packed


def _listed(images: Path, form: ImageFormat) -> list[ImageFile]:
    if images.is_file():
        channels = channel_columns(images, form.channels, form.channel_names) if form.channel_names else None
        columns = [f"{OF_CHANNEL}{name}" for name in channels or []] or ["path"]
        unused = other_columns(images, columns)
        if set(BOX_COLUMNS) <= set(unused):
            raise UserError(
                f"--images: {images} lists boxes by {', '.join(BOX_COLUMNS)}, which are not cut out here: save the "
                "parts as images of their own, or remove these columns for the whole images"
            )
        if unused:
            log.info("unused columns: %s", ", ".join(unused))
        return index_table(images, columns)
    if not images.is_dir():
        raise UserError(f"--images: {images} does not exist: give a folder of images or a CSV file")
    return [ImageFile(name, "", "unlabeled") for name in find_images(images)]
