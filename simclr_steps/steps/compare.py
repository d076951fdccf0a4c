"""Measure what an encoder must beat: the pixels, or a network with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from simclr_steps.data.packed import Description, Pixels, Split, read_description
from simclr_steps.data.splits import labeled_rows
from simclr_steps.evaluation.few_labels import (
    Features,
    chosen_on,
    features_of,
    few_labels,
    groups_of,
    labeled_splits,
    labels_of,
)
from simclr_steps.evaluation.linear_probe import Array
from simclr_steps.files import write_json
from simclr_steps.machine.logs import log
from simclr_steps.machine.options import Hardware
from simclr_steps.machine.provenance import Record
from simclr_steps.networks.architecture import Architecture, resolve
from simclr_steps.networks.encoders import Encoder
from simclr_steps.networks.from_scratch import draw_brought_weights
from simclr_steps.settings.compared import ComparedSettings, RandomNetwork
from simclr_steps.settings.pretrain import PretrainSettings

LARGEST_PIXEL_INPUT = 12_288  # values of an image, 64 × 64 × 3; above, a linear model of pixels takes hours


def compare(settings: ComparedSettings, *, data: Path, out: Path, hardware: Hardware) -> None:
    """Fit logistic regression with few labels to the pixels or to the features of a network with random weights.

    Writes the JSON file `out`, which all runs share that are compared with it: `results`, as `evaluate` takes them into
    linear.json, and `notes` on what was left out.
    """
    description = read_description(data)
    network = settings.network
    record = Record("compare", settings, description.content_hash, network.seed if network else None)
    splits = labeled_splits(data, description)
    labels, groups = labels_of(splits), groups_of(data, description, splits)
    results: list[dict[str, Any]] = []
    notes: list[str] = []
    if splits and network is None and np.prod(splits["train"].images.shape[1:]) > LARGEST_PIXEL_INPUT:
        notes = [f"Raw pixels were skipped: an image has more than {LARGEST_PIXEL_INPUT:,} values."]
    elif splits:
        device = hardware.claim().device
        features = _pixels(splits) if network is None else features_of(_built(network, description), splits, device)
        asked = (settings.labels, settings.draws, description.split_seed)
        results, notes = few_labels("random" if network else "pixels", features, labels, *asked, device, groups)
    built = {"architecture": _architecture(network, description).model_dump(mode="json")} if network else {}
    facts = {"C_chosen_on": chosen_on(labels), **built, "run": record.finish()}
    write_json(out, {"results": results, "notes": notes, **facts})
    log.info("wrote %s", out)


def _built(network: RandomNetwork, data: Description) -> Encoder:
    """Return the network, whose random weights depend on its seed alone."""
    with torch.random.fork_rng():
        torch.manual_seed(network.seed)
        encoder = Encoder(_architecture(network, data))
        draw_brought_weights(encoder.backbone, encoder.architecture)
        return encoder


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
