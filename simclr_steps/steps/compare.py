"""Measure what an encoder must beat: the pixels, or a network with random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from simclr_steps.data.packed import Description, Pixels, Split, read_description
from simclr_steps.data.splits import labeled_rows
from simclr_steps.evaluation.few_labels import Features
from simclr_steps.evaluation.linear_probe import Array
from simclr_steps.evaluation.protocol import (
    NO_LABELS,
    Extracted,
    Labeled,
    Measured,
    extract,
    labeled_images,
    measure,
    unmeasured,
)
from simclr_steps.machine.options import Hardware
from simclr_steps.machine.provenance import Record
from simclr_steps.methods.augmenter import tell_left_out
from simclr_steps.methods.probe_views import views_of
from simclr_steps.networks.architecture import Architecture, resolve
from simclr_steps.networks.encoders import Encoder
from simclr_steps.networks.user_code import augmentation_code
from simclr_steps.settings.compared import ComparedSettings, RandomNetwork
from simclr_steps.settings.pretrain import PretrainSettings

LARGEST_PIXEL_INPUT = 12_288  # values of an image, 64 × 64 × 3; above, a linear model of pixels takes hours


def compare(settings: ComparedSettings, *, data: Path, out: Path, hardware: Hardware) -> None:
    """Measure the pixels, or the features of a network with random weights, as `evaluate` does an encoder's features.

    Writes into `out`, which all runs share that are compared with it, knn.json and linear.json, whose input is `pixels`
    or `random`. Pixels have no probe on views.
    """
    description = read_description(data)
    network = settings.network
    own_code = augmentation_code(settings.augmentation)
    record = Record("compare", settings, description.content_hash, network.seed if network else None, own_code)
    given = labeled_images(data, description)
    if not given:
        measured = unmeasured("random" if network else "pixels", settings, NO_LABELS)
    elif network:
        measured = _of_network(_built(network, description), network.seed, given, settings, hardware)
    else:
        measured = _of_pixels(given, settings, hardware)
    built = {"architecture": _architecture(network, description).model_dump(mode="json")} if network else {}
    measured.write(out, {"unlabeled_left_out": given.left_out, **built, "run": record.finish()})


def _of_network(
    network: Encoder, seed: int, given: Labeled, settings: ComparedSettings, hardware: Hardware
) -> Measured:
    architecture, device = network.architecture, hardware.claim().device
    form = architecture.trained_on
    tell_left_out(settings.augmentation, form.channels, is_color=form.is_color)
    features = extract(network, given, device, views_of(settings.augmentation, architecture, seed))
    return measure("random", features, given, settings, device)


def _of_pixels(given: Labeled, settings: ComparedSettings, hardware: Hardware) -> Measured:
    if np.prod(given.splits["train"].images.shape[1:]) > LARGEST_PIXEL_INPUT:
        note = f"Raw pixels were skipped: an image has more than {LARGEST_PIXEL_INPUT:,} values."
        return unmeasured("pixels", settings, note)
    device = hardware.claim().device
    return measure("pixels", Extracted(_pixels(given.splits)), given, settings, device)


def _built(network: RandomNetwork, data: Description) -> Encoder:
    """Return the network, whose random weights depend on its seed alone."""
    with torch.random.fork_rng():
        torch.manual_seed(network.seed)
        return Encoder(_architecture(network, data))


def _architecture(network: RandomNetwork, data: Description) -> Architecture:
    settings = PretrainSettings(encoder=network.encoder, stem=network.stem, view_size=network.view_size)
    return resolve(settings, data.image_format)


def _pixels(splits: dict[str, Split]) -> Features:
    """Return the pixels of the labeled images of each split."""
    images = {name: split.images[labeled_rows(split.labels)] for name, split in splits.items()}
    return {name: _in_unit(array.reshape(len(array), -1)) for name, array in images.items()}


def _in_unit(packed: Pixels) -> Array:
    """Return packed values in [0, 1]."""
    return np.float32(1 / np.iinfo(packed.dtype).max) * packed
