"""Measure what an encoder must beat: pixels, random weights, those that it starts from, or an encoder off the shelf."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from simclr_steps.data.packed import Pixels, Split, read_description
from simclr_steps.data.splits import labeled_rows
from simclr_steps.evaluation.few_labels import Features
from simclr_steps.evaluation.linear_probe import Array
from simclr_steps.evaluation.protocol import (
    Extracted,
    Labeled,
    Measured,
    check_place,
    extract,
    labeled_images,
    measure,
    no_labels,
    unmeasured,
)
from simclr_steps.machine.options import Hardware
from simclr_steps.machine.provenance import Record
from simclr_steps.methods.augmenter import tell_left_out
from simclr_steps.methods.off_the_shelf import off_the_shelf, started
from simclr_steps.methods.probe_views import views_of
from simclr_steps.networks.architecture import resolve
from simclr_steps.networks.encoders import Encoder
from simclr_steps.networks.from_scratch import draw_brought_weights
from simclr_steps.networks.user_code import augmentation_code
from simclr_steps.networks.weights import MissingStatisticsError
from simclr_steps.settings.compared import ComparedSettings, OffTheShelf, RandomNetwork, StartingNetwork
from simclr_steps.settings.image_format import ImageFormat
from simclr_steps.settings.judged import JudgedBy
from simclr_steps.settings.pretrain import PretrainSettings

# A linear model of the pixels of images larger than 64 × 64 × 3 takes hours, unless there are few of them, which span
# few dimensions, and whose values are then about a gigabyte in memory.
LARGEST_PIXEL_INPUT, MOST_PIXELS = 12_288, 20_000_000


def compare(
    settings: ComparedSettings,
    *,
    data: Path,
    weights: Path | None = None,
    weights_sha256: str | None = None,
    judged_by: JudgedBy = "test",
    out: Path,
    hardware: Hardware,
) -> None:
    """Measure the pixels, or the features of another network, as `evaluate` does an encoder's features.

    The network has random weights or those of a file, as it is off the shelf or as a pretraining starts from it;
    `weights` is what download_weights wrote of published ones, and `weights_sha256` what the user's file must have.
    Writes into `out`, which all runs share that are compared with it, knn.json and linear.json. Pixels have no probe on
    views. Judged by the hold-out, nothing of the test split is read.

    Raises
    ------
    UserError
        When there are no such weights.
    """
    check_place(out)
    description = read_description(data)
    own_code = augmentation_code(settings.augmentation)
    record = Record("compare", settings, description.content_hash, settings.seed, own_code)
    given = labeled_images(data, description, judged_by)
    form = description.image_format
    network, why_not = None, "" if given else no_labels(judged_by)
    try:
        network = _network(settings.network, form, weights, weights_sha256) if settings.network else None
    except MissingStatisticsError:
        why_not = "The given weights were skipped: their file has no statistics of batch norm, which training makes."
    if why_not:
        measured = unmeasured(settings.input, settings, why_not)
    elif network:
        measured = _of_network(network, given, settings, hardware)
    else:
        measured = _of_pixels(given, settings, hardware)
    built = {"architecture": network.architecture.model_dump(mode="json")} if network else {}
    facts = {"judged_by": judged_by, "unlabeled_left_out": given.left_out, **built}
    measured.write(out, {**facts, "run": record.finish()})


def _of_network(network: Encoder, given: Labeled, settings: ComparedSettings, hardware: Hardware) -> Measured:
    architecture, device = network.architecture, hardware.claim().device
    form = architecture.trained_on
    tell_left_out(settings.augmentation, form.channels, is_color=form.is_color)
    views = views_of(settings.augmentation, architecture, settings.seed or 0)
    return measure(settings.input, extract(network, given, device, views), given, settings, device)


def _of_pixels(given: Labeled, settings: ComparedSettings, hardware: Hardware) -> Measured:
    values = given.splits["train"].images[0].size
    if values > LARGEST_PIXEL_INPUT and values * len(given) > MOST_PIXELS:
        note = (
            f"Raw pixels were skipped: an image has more than {LARGEST_PIXEL_INPUT:,} values, and all with labels "
            f"have more than {MOST_PIXELS:,}."
        )
        return unmeasured("pixels", settings, note)
    device = hardware.claim().device
    return measure("pixels", Extracted(_pixels(given.splits)), given, settings, device)


def _network(
    network: RandomNetwork | StartingNetwork | OffTheShelf,
    form: ImageFormat,
    weights: Path | None = None,
    sha256: str | None = None,
) -> Encoder:
    """Return the network; random weights depend on its seed alone."""
    if isinstance(network, OffTheShelf):
        return off_the_shelf(network, form, weights, sha256)
    if isinstance(network, StartingNetwork):
        return started(network.as_pretraining, form, weights, sha256, frozen=True)
    settings = PretrainSettings(encoder=network.encoder, stem=network.stem, view_size=network.view_size)
    with torch.random.fork_rng():
        torch.manual_seed(network.seed)
        encoder = Encoder(resolve(settings, form))
        draw_brought_weights(encoder.backbone, encoder.architecture)
        return encoder


def _pixels(splits: dict[str, Split]) -> Features:
    """Return the pixels of the labeled images of each split."""
    images = {name: split.images[labeled_rows(split.labels)] for name, split in splits.items()}
    return {name: _in_unit(array.reshape(len(array), -1)) for name, array in images.items()}


def _in_unit(packed: Pixels) -> Array:
    """Return packed values in [0, 1]."""
    return np.float32(1 / np.iinfo(packed.dtype).max) * packed
