"""Turn image files into features: for images of any origin, which need no data set, no label and no config."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from simclr_steps.data.alike import shown
from simclr_steps.data.decoding import File
from simclr_steps.data.decoding_processes import decode_all
from simclr_steps.data.image_files import find_images
from simclr_steps.data.image_folders import path_of
from simclr_steps.data.image_index import channel_columns, index_table
from simclr_steps.data.image_tables import OF_CHANNEL
from simclr_steps.data.packed import Pixels
from simclr_steps.data.scaling import as_packed
from simclr_steps.files import checksum, whole_file
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
    """Write the features of images as a Parquet table, one row for each in the order of their paths.

    Its columns are path, a string, and features, a list of D float32; its metadata hold, under the key `simclr`, JSON
    with the encoder, the unreadable images, which have no row, and the run record. `images` is a folder, in which
    images are found at any depth, or a CSV file with a column path, or with a column path.NAME for each channel of the
    encoder, of which the first names the image; paths are relative to the folder, or to the file's. Images are cut,
    resized and scaled as prepare did it with those that the encoder was trained on.

    Raises
    ------
    UserError
        If there is no image, none is readable, or the file is not an encoder.
    """
    record = Record("embed", None, None)
    network = load_network(encoder, trust=trust)
    names, files = _list_images(images, network.architecture.trained_on)
    facts = {"encoder": str(encoder), "encoder_hash": checksum(encoder), "images": str(images)}
    schema = pa.schema([("path", pa.string()), ("features", pa.list_(pa.float32(), network.feature_size))])
    devices = hardware.claim()
    network.to(devices.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    skipped: list[str] = []
    with whole_file(out) as partial, pq.ParquetWriter(partial, schema, use_dictionary=False) as writer:
        for some, batch in _batches(names, files, network, devices.workers, skipped):
            features = _features(network, batch, devices.device)
            column = pa.FixedSizeListArray.from_arrays(features.ravel(), network.feature_size)
            writer.write_batch(pa.record_batch([pa.array(some), column], schema=schema))
        if len(skipped) == len(names):
            raise UserError(
                f"--images: none of the {len(names)} images in {images} is readable: see the messages above"
            )
        writer.add_key_value_metadata({"simclr": json.dumps({**facts, "skipped": skipped, "run": record.finish()})})
    log.info("%d features for each of %d images: %s", network.feature_size, len(names) - len(skipped), out)
    if skipped:
        log.warning("%d unreadable images have no row; they are listed above", len(skipped))


def _list_images(images: Path, form: ImageFormat) -> tuple[list[str], list[File]]:
    """Return the images' names, relative to their folder, and where they are."""
    if images.is_file():
        channels = channel_columns(images, form.channels, form.channel_names) if form.channel_names else None
        columns = [f"{OF_CHANNEL}{name}" for name in channels or []] or ["path"]
        listed = index_table(images, columns)
        return [file.name for file in listed], [path_of(images.parent, file) for file in listed]
    if not images.is_dir():
        raise UserError(f"--images: {images} does not exist: give a folder of images or a CSV file")
    found = find_images(images)
    return [path.as_posix() for path in found], [images / path for path in found]


def _batches(
    names: list[str], files: list[File], network: Encoder | Classifier, workers: int | None, skipped: list[str]
) -> Iterator[NamedImages]:
    """Decode images and yield them in batches; those that are unreadable are named and put into `skipped`."""
    form = network.architecture.trained_on
    blank = np.empty((0, *form.size, form.channels), dtype=form.packed_dtype)
    workers = min(workers or len(os.sched_getaffinity(0)), 1 + len(names) // _FILES_PER_WORKER)
    images = (as_packed(image, form) for image in decode_all(files, form, workers))
    decoded = zip(names, files, images, strict=True)
    progress, done = Progress("embedded", len(names)), 0
    while part := list(islice(decoded, images_at_a_time(blank))):
        readable = []
        for name, file, image in part:
            if isinstance(image, str):
                log.warning("skipped %s: %s", shown(file), image)
                skipped.append(name)
            else:
                readable.append((name, image))
        if readable:
            yield [name for name, _ in readable], np.stack([image for _, image in readable], dtype=form.packed_dtype)
        done += len(part)
        progress.update(done)


def _features(network: Encoder | Classifier, images: Pixels, device: torch.device) -> npt.NDArray[np.float32]:
    """Return the features [B, D] of images [B, H, W, C]."""
    with torch.inference_mode(), ieee_fp32(device):
        x = network_input(torch.from_numpy(images).to(device), network.architecture.image_size)
        features: npt.NDArray[np.float32] = network.backbone(network.normalization(x)).cpu().numpy()
        return features
