"""Judge a frozen encoder by its features: nearest neighbors and a linear probe, on the hold-out and the test split."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from simclr_steps.data.packed import NO_LABEL, Split, read_description, read_split
from simclr_steps.data.splits import JUDGED, Labels, labeled_rows, stratified_draw
from simclr_steps.evaluation.linear_probe import Array, LinearProbe
from simclr_steps.evaluation.neighbors import knn_accuracy
from simclr_steps.evaluation.penalty import choose_penalty
from simclr_steps.files import write_json
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.machine.options import Hardware
from simclr_steps.machine.provenance import Record
from simclr_steps.methods import random_numbers
from simclr_steps.methods.views import random_views
from simclr_steps.networks.encoders import Encoder, hash_of_weights, load_encoder
from simclr_steps.networks.features import compute_features
from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.evaluation import EvaluationSettings

LARGEST_PIXEL_INPUT = 12_288  # values of an image, 64 × 64 × 3; above, a linear model of pixels takes hours
WEIGHTED_NEIGHBORS, VOTE_TEMPERATURE = 200, 0.1  # the usual protocol, of Wu et al. 2018
_VIEWS = 4  # of each training image, for the probe that is trained on views
_FIRST_EPOCH_OF_VIEWS = -2  # falling from there; pretraining's are 0 and more, and its hold-out's is -1


def evaluate(
    settings: EvaluationSettings, *, encoder: Path, data: Path, seed: int, out: Path, hardware: Hardware
) -> None:
    """Measure what a frozen encoder knows; of all steps, the first that reads the test split.

    Writes into `out` knn.json, the accuracy of the neighbors' vote (of `knn_neighbors` alike, and of 200 weighted by
    their similarity at a temperature of 0.1), and linear.json: the accuracy of linear probes with all labels, fitted to
    the features of the plain images (`probe`) and of random views of them (`probe_on_views`); and under `results` that
    of logistic regression on few labels: on the encoder's features (`simclr`), on those of the same network with random
    weights (`random`) and on the pixels (`pixels`). `C` is the penalty of each, chosen for its input and number of
    labels on the split `C_chosen_on`: the hold-out or, by cross-validation in the first draw, train. Images without a
    label are left out and counted.
    """
    description = read_description(data)
    record = Record("evaluate", settings, description.content_hash, seed)
    network = load_encoder(encoder)
    splits = {name: read_split(data, name) for name in ("train", *JUDGED) if name in description.splits}
    facts: dict[str, Any] = {
        "unlabeled_left_out": {name: int((split.labels == NO_LABEL).sum()) for name, split in splits.items()}
    }
    splits = {name: split for name, split in splits.items() if len(labeled_rows(split.labels))}
    knn: dict[str, Any] = {"neighbors": settings.knn_neighbors}
    linear: dict[str, Any] = {"results": []}
    if "train" in splits and len(splits) > 1:
        device = hardware.claim().device
        log.info("features of %d images", sum(map(len, splits.values())))
        with _unchanged(network):
            features = _features(network, splits, device)
            views = _features_of_views(network, splits["train"], settings.augmentation, seed, device)
        labels = {name: split.labels[labeled_rows(split.labels)] for name, split in splits.items()}
        knn |= _neighbors_vote(features, labels, settings.knn_neighbors, device)
        linear["C_chosen_on"] = "validation" if "validation" in splits else "train"
        linear |= _linear_probes(features, views, labels, device)
        inputs = {"simclr": features, "random": _features(_random_network(network, seed), splits, device)}
        linear |= _few_labels(settings, inputs | _pixels(splits), labels, description.split_seed, device)
    else:
        note = "Accuracy cannot be measured without labels in the train split and in the validation or test split."
        log.warning("%s", note)
        facts["note"] = note
    write_json(out / "knn.json", {**knn, **facts, "run": record.finish()})
    write_json(out / "linear.json", {**linear, **facts, "run": record.finish()})
    log.info("wrote %s and linear.json", out / "knn.json")


@contextmanager
def _unchanged(network: Encoder) -> Iterator[None]:
    """Raise RuntimeError when the network is not what it was before, batch-norm statistics included."""
    before = hash_of_weights(network)
    yield
    if hash_of_weights(network) != before:
        raise RuntimeError("evaluation changed the encoder's weights or statistics")


def _features(network: Encoder, splits: dict[str, Split], device: torch.device) -> dict[str, Array]:
    """Return the features of the labeled images of each split."""
    return {
        name: compute_features(network, split.images, device)[0][labeled_rows(split.labels)]
        for name, split in splits.items()
    }


def _features_of_views(
    network: Encoder, train: Split, augmentation: Augmentation | None, seed: int, device: torch.device
) -> Array | None:
    """Return the features of random views of the labeled training images, float32 [V, N, D]."""
    if augmentation is None:
        return None
    size = network.architecture.image_size

    def view(images: Tensor, rows: Tensor, number: int) -> Tensor:
        epoch = _FIRST_EPOCH_OF_VIEWS - number
        return random_views(images, random_numbers.keys(seed, epoch, rows, views=1), augmentation, size)[0]

    labeled = labeled_rows(train.labels)
    return np.stack(
        [
            compute_features(network, train.images, device, view=partial(view, number=n))[0][labeled]
            for n in range(_VIEWS)
        ]
    )


def _random_network(network: Encoder, seed: int) -> Encoder:
    """Return a network of the same architecture whose random weights depend on the seed alone."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Encoder(network.architecture)


def _pixels(splits: dict[str, Split]) -> dict[str, dict[str, Array]]:
    """Return the pixels of the labeled images of each split under the input's name; nothing if there are too many."""
    if np.prod(splits["train"].images.shape[1:]) > LARGEST_PIXEL_INPUT:
        return {}
    images = {name: split.images[labeled_rows(split.labels)] for name, split in splits.items()}
    return {"pixels": {name: np.float32(1 / 255) * array.reshape(len(array), -1) for name, array in images.items()}}


def _neighbors_vote(
    features: dict[str, Array], labels: dict[str, Labels], neighbors: int, device: torch.device
) -> dict[str, Any]:
    on_device = {name: torch.from_numpy(array).to(device) for name, array in features.items()}
    bank = on_device.pop("train"), labels["train"]
    return {
        split: {
            "accuracy": knn_accuracy(*bank, queries, labels[split], neighbors),
            "weighted_accuracy": knn_accuracy(
                *bank, queries, labels[split], WEIGHTED_NEIGHBORS, temperature=VOTE_TEMPERATURE
            ),
            "images": len(labels[split]),
        }
        for split, queries in on_device.items()
    }


def _linear_probes(
    features: dict[str, Array], views: Array | None, labels: dict[str, Labels], device: torch.device
) -> dict[str, Any]:
    """Return the accuracies, by split, of the probes with all labels."""
    if len(np.unique(labels["train"])) < 2:
        return {}
    log.info("linear probes with %d labels", len(labels["train"]))
    found: dict[str, Any] = {"probe_on_views": None, "views": _VIEWS}
    for name, given in (("probe", features["train"][None]), ("probe_on_views", views)):
        if given is not None:
            penalty = choose_penalty(given, features["train"], labels["train"], _hold_out(features, labels), device)
            found[name] = _accuracies(LinearProbe(given, labels["train"], device).fit(penalty), features, labels)
            found[f"{name}_C"] = penalty
    return found


def _hold_out(features: dict[str, Array], labels: dict[str, Labels]) -> tuple[Array, Labels] | None:
    return (features["validation"], labels["validation"]) if "validation" in features else None


def _accuracies(probe: LinearProbe, features: dict[str, Array], labels: dict[str, Labels]) -> dict[str, float]:
    """Return the accuracy on each split but train."""
    return {name: probe.accuracy(values, labels[name]) for name, values in features.items() if name != "train"}


def _few_labels(
    settings: EvaluationSettings,
    inputs: dict[str, dict[str, Array]],
    labels: dict[str, Labels],
    split_seed: int,
    device: torch.device,
) -> dict[str, Any]:
    """Return one result for each input, label budget, draw and split, and what was left out."""
    notes: list[str] = []
    if "pixels" not in inputs:
        notes.append(f"Pixels were left out: an image has more than {LARGEST_PIXEL_INPUT:,} values.")
    results = []
    penalties: dict[str, float] = {}  # by input, chosen in the first draw of each number of labels
    for rows, draw in _draws(settings, labels["train"], split_seed, notes):
        drawn = labels["train"][rows]
        for name, features in inputs.items():
            few = features["train"][rows]
            if draw == 0:
                penalties[name] = choose_penalty(few[None], few, drawn, _hold_out(features, labels), device)
            probe = LinearProbe(few[None], drawn, device).fit(penalties[name])
            results += [
                {
                    "input": name,
                    "labels": len(rows),
                    "fraction": round(len(rows) / len(labels["train"]), 6),
                    "draw": draw,
                    "C": penalties[name],
                    "split": split,
                    "accuracy": accuracy,
                }
                for split, accuracy in _accuracies(probe, features, labels).items()
            ]
    return {"results": results, "note": " ".join(notes) or None}


def _draws(
    settings: EvaluationSettings, labels: Labels, split_seed: int, notes: list[str]
) -> Iterator[tuple[npt.NDArray[np.int64], int]]:
    """Yield the rows of each draw of each label budget, and the number of the draw; note which budgets are left out."""
    if len(np.unique(labels)) < 2:
        notes.append("Linear classifiers were left out: they need at least two classes.")
        return
    counts: set[int] = set()
    for budget in settings.labels:
        for draw in range(settings.draws):
            try:
                rows = stratified_draw(labels, budget, (split_seed, draw))
            except UserError as error:  # the other budgets and kNN are still informative
                notes.append(f"A label budget was left out: {error}.")
                log.warning("left out: %s", error)
                break
            if draw == 0:
                if len(rows) in counts:
                    notes.append(f"A label budget was left out: {budget} is {len(rows):,} labels, as another is.")
                    break
                counts.add(len(rows))
                log.info("logistic regression with %d labels", len(rows))
            yield rows, draw
            if len(rows) == len(labels):
                notes.append("All labels can be drawn in only one way, so there is only one draw.")
                break
