"""Turn image files into features: for images of any origin, which need no data set, no label and no config."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

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
from simclr_steps.data.table_files import check_table, whole_table
from simclr_steps.files import checksum
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import Progress, log
from simclr_steps.machine.options import Hardware
from simclr_steps.machine.provenance import Record
from simclr_steps.networks.encoders import Classifier, Encoder, load_network
from simclr_steps.networks.features import images_at_a_time, network_input
from simclr_steps.networks.precision import ieee_fp32
from simclr_steps.settings.image_format import ImageFormat

NamedImages = tuple[list[str], Pixels]  # names, and their images [B, H, W, C]

_FILES_PER_WORKER = 64  # fewer are decoded before one more process has started


def embed(encoder: Path, *, trust: str | None = None, images: Path, out: Path, hardware: Hardware) -> None:
    """Write the features of images as a table, one row for each in the order of their paths.

    `out` ends in .parquet, .csv or .npz, and data/table_files.py tells what that means for the columns path, a text,
    and features, D float32, and for the facts: the encoder, the unreadable images, which have no row, and the run
    record. `images` is a folder, in which
    images are found at any depth, or a CSV file with a column path, or with a column path.NAME for each channel of the
    encoder, of which the first names the image; paths are relative to the folder, or to the file's. Images are cut,
    resized and scaled as prepare did it with those that the encoder was trained on.

    Raises
    ------
    UserError
        If there is no image, none is readable, the file is not an encoder, or `out` has another suffix.
    """
    check_table(out)
    record = Record("embed", None, None)
    network = load_network(encoder, trust=trust)
    files = _list_images(images, network.architecture.trained_on)
    base = images.parent if images.is_file() else images
    tell_order_of_channels(path_of(base, files[0]), network.architecture.trained_on)
    facts = {"encoder": str(encoder), "encoder_hash": checksum(encoder), "images": str(images)}
    devices = hardware.claim()
    network.to(devices.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    skipped: list[str] = []
    seen = SeenValues(network.architecture.trained_on)
    with whole_table(out) as table:
        for some, batch in _batches(base, files, network, devices.workers, skipped, seen):
            table.write({"path": some, "features": _features(network, batch, devices.device)})
        if len(skipped) == len(files):
            raise UserError(
                f"--images: none of the {len(files)} images in {images} is readable: see the messages above"
            )
        table.facts = {**facts, "skipped": skipped, "run": record.finish()}
    log.info("%d features for each of %d images: %s", network.feature_size, len(files) - len(skipped), out)
    seen.report_new()
    if skipped:
        log.warning("%d unreadable images have no row: the table's metadata list them as skipped", len(skipped))


def _list_images(images: Path, form: ImageFormat) -> list[ImageFile]:
    """Return the images below a folder, or those that a CSV file lists."""
    if images.is_file():
        channels = channel_columns(images, form.channels, form.channel_names) if form.channel_names else None
        columns = [f"{OF_CHANNEL}{name}" for name in channels or []] or ["path"]
        if unused := other_columns(images, columns):
            log.info("unused columns: %s", ", ".join(unused))
        return index_table(images, columns)
    if not images.is_dir():
        raise UserError(f"--images: {images} does not exist: give a folder of images or a CSV file")
    return [ImageFile(name, "", "unlabeled") for name in find_images(images)]


def _batches(
    base: Path,
    files: list[ImageFile],
    network: Encoder | Classifier,
    workers: int | None,
    skipped: list[str],
    seen: SeenValues,
) -> Iterator[NamedImages]:
    """Decode images, below `base`, and yield them in batches; unreadable ones are named and put into `skipped`."""
    form = network.architecture.trained_on
    blank = np.empty((0, *form.size, form.channels), dtype=form.packed_dtype)
    workers = min(workers or len(os.sched_getaffinity(0)), 1 + len(files) // _FILES_PER_WORKER)
    paths = (path_of(base, file) for file in files)
    images = (_counted(image, form, seen) for image in decode_all(paths, form, workers))
    decoded = zip(files, images, strict=True)
    progress = Progress("embedded", len(files))
    while part := list(islice(decoded, images_at_a_time(blank))):
        readable = []
        for file, image in part:
            if isinstance(image, str):
                report_skipped(path_of(base, file), image, before=len(skipped))
                skipped.append(file.name)
            else:
                readable.append((file.name, image))
        if readable:
            yield [name for name, _ in readable], np.stack([image for _, image in readable], dtype=form.packed_dtype)
        progress.add(len(part))


def _counted(image: Decoded | str, form: ImageFormat, seen: SeenValues) -> Pixels | str:
    """Return an image as `as_packed` does, with its values counted if it is readable."""
    packed = as_packed(image, form)
    if isinstance(image, Decoded) and not isinstance(packed, str):
        seen.add(image.values[None])
    return packed


def _features(network: Encoder | Classifier, images: Pixels, device: torch.device) -> npt.NDArray[np.float32]:
    """Return the features [B, D] of images [B, H, W, C]."""
    with torch.inference_mode(), ieee_fp32(device):
        x = network_input(torch.from_numpy(images).to(device), network.architecture.image_size)
        features: npt.NDArray[np.float32] = network.backbone(network.normalization(x)).cpu().numpy()
        return features
