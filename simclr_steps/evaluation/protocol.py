"""What is measured of any features: nearest neighbors, linear probes, and logistic regression with few labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simclr_steps.data.correct import Correct, write_correct
from simclr_steps.data.groups import by_group
from simclr_steps.data.packed import Description, Split
from simclr_steps.data.splits import labeled_rows
from simclr_steps.evaluation.balanced import balanced_accuracies
from simclr_steps.evaluation.few_labels import (
    Features,
    SplitGroups,
    SplitLabels,
    chosen_on,
    features_of,
    few_labels,
    fitted_budgets,
    groups_of,
    hold_out,
    judged,
    labeled_splits,
    labels_of,
)
from simclr_steps.evaluation.linear_probe import Array
from simclr_steps.evaluation.neighbors import knn_right
from simclr_steps.evaluation.penalty import choose_penalty
from simclr_steps.files import write_json
from simclr_steps.machine.logs import log
from simclr_steps.machine.progress import Progress
from simclr_steps.machine.replaced import check_files
from simclr_steps.networks.encoders import Encoder, hash_of_weights
from simclr_steps.networks.features import compute_features
from simclr_steps.settings.evaluation import EvaluationSettings
from simclr_steps.settings.judged import JudgedBy, splits_judged
from simclr_steps.settings.labels import in_words

WEIGHTED_NEIGHBORS, VOTE_TEMPERATURE = 200, 0.1  # the usual protocol, of Wu et al. 2018
VIEWS = 4  # of each training image, for the probe that is trained on views

_CORRECT, _KNN, _LINEAR = "correct.npz", "knn.json", "linear.json"  # in the order in which they are written
_BALANCED = ("balanced_accuracy", "effective_images", "balanced_by_group")

View = Callable[[Tensor, Tensor], Tensor]  # images [B, H, W, C] and their rows, int64 [B], to float32 [B, C, h, w]
ViewOf = Callable[[int], View]  # from the number of the view


@dataclass(frozen=True)
class Labeled:
    """The labeled images of a data set: train, and the splits to judge on; nothing where there are not both."""

    splits: dict[str, Split]
    labels: SplitLabels
    groups: SplitGroups
    split_seed: int  # of the draws of labels
    left_out: dict[str, int]  # images without a label, by split

    def __bool__(self) -> bool:
        return bool(self.splits)

    def __len__(self) -> int:
        return sum(map(len, self.labels.values()))


@dataclass(frozen=True)
class Extracted:
    """The features of labeled images that are to be judged."""

    plain: Features
    views: Array | None = None  # of random views of the training images, float32 [V, N, D]


@dataclass(frozen=True)
class Measured:
    """What knn.json, linear.json and correct.npz say; see `measure`."""

    knn: dict[str, Any]
    linear: dict[str, Any]
    correct: Correct

    def write(self, out: Path, facts: dict[str, Any]) -> None:
        """Write both files into `out`, each with the facts, and correct.npz."""
        write_correct(out / _CORRECT, self.correct)
        write_json(out / _KNN, {**self.knn, **facts})
        write_json(out / _LINEAR, {**self.linear, **facts})
        log.info("wrote %s and %s", out / _KNN, _LINEAR)


def check_place(out: Path) -> None:
    """Raise UserError when `Measured.write` would replace files of the user."""
    check_files(out, (_KNN, _LINEAR), sign=_CORRECT)


def labeled_images(folder: Path, data: Description, judged_by: JudgedBy = "test") -> Labeled:
    """Return the labeled images of a packed data set, of the test split only if it judges."""
    named = ("train", *splits_judged(judged_by))
    splits = labeled_splits(folder, data, named)
    counts = {name: data.splits[name] for name in named if name in data.splits}
    left_out = {name: one.images - one.labeled for name, one in counts.items()}
    return Labeled(splits, labels_of(splits), groups_of(folder, data, splits), data.split_seed, left_out)


def extract(network: Encoder, given: Labeled, device: torch.device, view_of: ViewOf | None) -> Extracted:
    """Return the features of a frozen network; those of views are left out without a function that draws them.

    Raises
    ------
    RuntimeError
        When the network is not what it was before, batch-norm statistics included.
    """
    log.info("features of %d images", len(given))
    images_and_views = len(given) + (VIEWS * len(given.labels["train"]) if view_of else 0)
    progress = Progress("features of", images_and_views, unit="images and views" if view_of else "images")
    with _unchanged(network):
        plain = features_of(network, given.splits, device, progress)
        views = _features_of_views(network, given.splits["train"], view_of, device, progress) if view_of else None
    return Extracted(plain, views)


def measure(
    name: str, features: Extracted, given: Labeled, settings: EvaluationSettings, device: torch.device
) -> Measured:
    """Judge features on the hold-out and, where it was given, the test split.

    `knn` is the accuracy of the neighbors' vote (of `knn_neighbors` alike, and of 200 weighted by their similarity at a
    temperature of 0.1). `linear` is the accuracy of linear probes with all labels, fitted to the features of the plain
    images (`probe`) and of random views of them (`probe_on_views`); and under `results`, for the input `name`, that of
    logistic regression on few labels. `C` is the penalty of each, chosen for its number of labels on the split
    `C_chosen_on`: the hold-out or, by cross-validation in the first draw, train. Where images have groups, `by_group`
    holds how many each judged group has and how many of them are right, and `label_groups` from how many groups few
    labels come. `fitted` holds the budgets of labels where the settings leave them to the data. Beside each accuracy
    stands the balanced one, with the number of images of a balanced set that tells as much, `effective_images`.
    `correct` says which images of the test split are right with few labels, or of the hold-out where that split was not
    given or has no labels.
    """
    labels, groups = given.labels, given.groups
    knn = _neighbors_vote(features.plain, labels, groups, settings.knn_neighbors, device)
    probes = _linear_probes(features, labels, device, groups)
    budgets = settings.labels
    if budgets == "auto":
        budgets = fitted_budgets(labels["train"])
        log.info("fitted to the %d labels: budgets of %s", len(labels["train"]), ", ".join(map(in_words, budgets)))
    asked = (budgets, settings.draws, given.split_seed)
    few = few_labels(name, features.plain, labels, *asked, device, groups)
    note = " ".join(dict.fromkeys(few.notes)) or None
    fitted = {"fitted": {"labels": budgets}} if settings.labels == "auto" else {}
    linear = {"C_chosen_on": chosen_on(labels), **probes, **fitted, "results": few.results, "note": note}
    knn = {"input": name, "neighbors": settings.knn_neighbors, **knn}
    return Measured(knn, {"input": name, **linear}, Correct.of(few.right, groups.get(list(labels)[-1])))


def no_labels(judged_by: JudgedBy) -> str:
    """Return a sentence that says why nothing is measured where labels are absent."""
    judges = "the validation or test split" if judged_by == "test" else "the validation split"
    return f"Accuracy cannot be measured without labels in the train split and in {judges}."


def unmeasured(name: str, settings: EvaluationSettings, note: str) -> Measured:
    """Return what is written where nothing can be measured, with a sentence that says why."""
    log.warning("%s", note)
    of_both = {"input": name, "note": note}
    knn = {**of_both, "neighbors": settings.knn_neighbors}
    return Measured(knn, {**of_both, "results": []}, Correct({}, None))


@contextmanager
def _unchanged(network: Encoder) -> Iterator[None]:
    before = hash_of_weights(network)
    yield
    if hash_of_weights(network) != before:
        raise RuntimeError("evaluation changed the encoder's weights or statistics")


def _features_of_views(
    network: Encoder, train: Split, view_of: ViewOf, device: torch.device, progress: Progress
) -> Array:
    """Return the features of random views of the labeled training images, float32 [V, N, D]."""
    labeled = labeled_rows(train.labels)
    return np.stack(
        [
            compute_features(network, train.images, device, view=view_of(number), rows=labeled, progress=progress)[0]
            for number in range(VIEWS)
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
    features: Extracted, labels: SplitLabels, device: torch.device, groups: SplitGroups
) -> dict[str, Any]:
    """Return the accuracies, by split, of the probes with all labels."""
    if len(np.unique(labels["train"])) < 2:
        return {}
    log.info("linear probes with %d labels", len(labels["train"]))
    found: dict[str, Any] = {"probe_on_views": None, "views": VIEWS}
    plain = features.plain
    for name, given in (("probe", plain["train"][None]), ("probe_on_views", features.views)):
        if given is not None:
            of_train = plain["train"], labels["train"], hold_out(plain, labels)
            found[f"{name}_C"], probe = choose_penalty(given, *of_train, device, groups.get("train"))
            of_splits = judged(probe, plain, labels, groups)
            found[name] = {split: of_split["accuracy"] for split, of_split in of_splits.items()}
            found[f"{name}_balanced"] = {
                split: {key: of_split[key] for key in _BALANCED if key in of_split}
                for split, of_split in of_splits.items()
            }
            if groups:
                found[f"{name}_by_group"] = {split: of_split["by_group"] for split, of_split in of_splits.items()}
    return found
