"""Judge a frozen encoder by its features: nearest neighbors and a linear probe, on the hold-out and the test split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simclr_steps.data.groups import by_group
from simclr_steps.data.packed import Split, read_description
from simclr_steps.data.splits import JUDGED, labeled_rows
from simclr_steps.evaluation.balanced import balanced_accuracies
from simclr_steps.evaluation.few_labels import (
    Features,
    SplitGroups,
    SplitLabels,
    chosen_on,
    features_of,
    few_labels,
    groups_of,
    hold_out,
    judged,
    labeled_splits,
    labels_of,
)
from simclr_steps.evaluation.linear_probe import Array
from simclr_steps.evaluation.neighbors import knn_right
from simclr_steps.evaluation.penalty import choose_penalty
from simclr_steps.files import read_json, write_json
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.machine.options import Hardware
from simclr_steps.machine.provenance import Record
from simclr_steps.methods import random_numbers
from simclr_steps.methods.augmenter import Augmenter, tell_left_out
from simclr_steps.networks.encoders import Encoder, hash_of_weights, load_encoder
from simclr_steps.networks.features import compute_features
from simclr_steps.networks.user_code import augmentation_code
from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.evaluation import EvaluationSettings

WEIGHTED_NEIGHBORS, VOTE_TEMPERATURE = 200, 0.1  # the usual protocol, of Wu et al. 2018
_BALANCED = ("balanced_accuracy", "effective_images", "balanced_by_group")
_VIEWS = 4  # of each training image, for the probe that is trained on views
_FIRST_EPOCH_OF_VIEWS = -2  # falling from there; pretraining's are 0 and more, and its hold-out's is -1


def evaluate(
    settings: EvaluationSettings,
    *,
    encoder: Path,
    data: Path,
    compared: Sequence[Path] = (),
    seed: int,
    out: Path,
    hardware: Hardware,
) -> None:
    """Measure what a frozen encoder knows, next to the baselines of `compare`; no earlier step reads the test split.

    Writes into `out` knn.json, the accuracy of the neighbors' vote (of `knn_neighbors` alike, and of 200 weighted by
    their similarity at a temperature of 0.1), and linear.json: the accuracy of linear probes with all labels, fitted to
    the features of the plain images (`probe`) and of random views of them (`probe_on_views`); and under `results` that
    of logistic regression on few labels: on the encoder's features (`simclr`) and, from the files `compared`, on those
    of the same network with random weights (`random`) and on the pixels (`pixels`). `C` is the penalty of each, chosen
    for its input and number of labels on the split `C_chosen_on`: the hold-out or, by cross-validation in the first
    draw, train. Beside each accuracy stands the balanced one, with the number of images of a balanced set that tells as
    much, `effective_images`. Images without a label are left out and counted. Where images have groups, `by_group`
    holds how many each judged group has and how many of them are right, and `label_groups` from how many groups few
    labels come.

    Raises
    ------
    UserError
        When what is compared was measured on other data.
    """
    description = read_description(data)
    own_code = augmentation_code(settings.augmentation)
    record = Record("evaluate", settings, description.content_hash, seed, own_code)
    others = [_compared(file, data, description.content_hash) for file in compared]
    network = load_encoder(encoder)
    tell_left_out(settings.augmentation, description.image_format.channels, is_color=description.image_format.is_color)
    counts = {name: description.splits[name] for name in ("train", *JUDGED) if name in description.splits}
    facts: dict[str, Any] = {"unlabeled_left_out": {name: one.images - one.labeled for name, one in counts.items()}}
    splits = labeled_splits(data, description)
    knn: dict[str, Any] = {"neighbors": settings.knn_neighbors}
    linear: dict[str, Any] = {"results": []}
    if splits:
        device = hardware.claim().device
        labels, groups = labels_of(splits), groups_of(data, description, splits)
        log.info("features of %d images", sum(map(len, labels.values())))
        with _unchanged(network):
            features = features_of(network, splits, device)
            views = _features_of_views(network, splits["train"], settings.augmentation, seed, device)
        knn |= _neighbors_vote(features, labels, groups, settings.knn_neighbors, device)
        linear["C_chosen_on"] = chosen_on(labels)
        linear |= _linear_probes(features, views, labels, device, groups)
        asked = (settings.labels, settings.draws, description.split_seed)
        results, notes = few_labels("simclr", features, labels, *asked, device, groups)
        notes += [note for other in others for note in other["notes"]]
        linear["results"] = [*results, *(row for other in others for row in other["results"])]
        linear["note"] = " ".join(dict.fromkeys(notes)) or None
    else:
        note = "Accuracy cannot be measured without labels in the train split and in the validation or test split."
        log.warning("%s", note)
        facts["note"] = note
    run = record.finish() | network.architecture.origin
    write_json(out / "knn.json", {**knn, **facts, "run": run})
    write_json(out / "linear.json", {**linear, **facts, "run": run})
    log.info("wrote %s and linear.json", out / "knn.json")


def _compared(file: Path, data: Path, content_hash: str) -> dict[str, Any]:
    """Return what `compare` wrote."""
    content: dict[str, Any] = read_json(file)
    if content["run"]["data_hash"] != content_hash:
        raise UserError(f"{file} was measured on data other than {data}: run compare again")
    return content


@contextmanager
def _unchanged(network: Encoder) -> Iterator[None]:
    """Raise RuntimeError when the network is not what it was before, batch-norm statistics included."""
    before = hash_of_weights(network)
    yield
    if hash_of_weights(network) != before:
        raise RuntimeError("evaluation changed the encoder's weights or statistics")


def _features_of_views(
    network: Encoder, train: Split, augmentation: Augmentation | None, seed: int, device: torch.device
) -> Array | None:
    """Return the features of random views of the labeled training images, float32 [V, N, D]."""
    if augmentation is None:
        return None
    architecture = network.architecture
    augmenter = Augmenter(augmentation, architecture.image_size, architecture.trained_on.is_color)

    def view(images: Tensor, rows: Tensor, number: int) -> Tensor:
        epoch = _FIRST_EPOCH_OF_VIEWS - number
        return augmenter(images, random_numbers.keys(seed, epoch, rows, views=1))[0]

    labeled = labeled_rows(train.labels)
    return np.stack(
        [
            compute_features(network, train.images, device, view=partial(view, number=n), rows=labeled)[0]
            for n in range(_VIEWS)
        ]
    )


def _neighbors_vote(
    features: Features, labels: SplitLabels, groups: SplitGroups, neighbors: int, device: torch.device
) -> dict[str, Any]:
    on_device = {name: torch.from_numpy(array).to(device) for name, array in features.items()}
    bank = on_device.pop("train"), labels["train"]
    found = {}
    for split, queries in on_device.items():
        given = (*bank, queries, labels[split])
        right = {
            "accuracy": knn_right(*given, neighbors),
            "weighted_accuracy": knn_right(*given, WEIGHTED_NEIGHBORS, temperature=VOTE_TEMPERATURE),
        }
        found[split] = {
            **{name: float(np.mean(of_images)) for name, of_images in right.items()},
            "images": len(labels[split]),
            **by_group(groups.get(split), **right),
            **balanced_accuracies(labels[split], groups.get(split), **right),
        }
    return found


def _linear_probes(
    features: Features, views: Array | None, labels: SplitLabels, device: torch.device, groups: SplitGroups
) -> dict[str, Any]:
    """Return the accuracies, by split, of the probes with all labels."""
    if len(np.unique(labels["train"])) < 2:
        return {}
    log.info("linear probes with %d labels", len(labels["train"]))
    found: dict[str, Any] = {"probe_on_views": None, "views": _VIEWS}
    for name, given in (("probe", features["train"][None]), ("probe_on_views", views)):
        if given is not None:
            of_train = features["train"], labels["train"], hold_out(features, labels)
            found[f"{name}_C"], probe = choose_penalty(given, *of_train, device, groups.get("train"))
            of_splits = judged(probe, features, labels, groups)
            found[name] = {split: of_split["accuracy"] for split, of_split in of_splits.items()}
            found[f"{name}_balanced"] = {
                split: {key: of_split[key] for key in _BALANCED if key in of_split}
                for split, of_split in of_splits.items()
            }
            if groups:
                found[f"{name}_by_group"] = {split: of_split["by_group"] for split, of_split in of_splits.items()}
    return found
