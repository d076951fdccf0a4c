"""How much accuracy the choice among seven penalties costs beside the best of 13, which the test split itself chooses.

    SIMCLR_TEST_DATA=FOLDER python -m tests.benchmarks.penalty [digits] [mnist] [cifar10] [photos]

FOLDER holds the files of MNIST and CIFAR-10, and photographs below photos/. Each data set is split several times, as
what few images decide is chance, and judged by its pixels and by the features of a ResNet-18 with random weights,
with 5 draws of each number of labels per class in each split. A line shows the mean accuracy with the penalty that is
best on average, and the points that are lost with the penalty that each split chooses on its hold-out, in cross-
validation (each in the first draw), and with C = 1.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from simclr_steps.data.packed import read_split
from simclr_steps.data.splits import Labels, stratified_draw
from simclr_steps.evaluation.linear_probe import Array, LinearProbe
from simclr_steps.evaluation.penalty import PENALTIES, choose_penalty
from simclr_steps.networks.architecture import Architecture
from simclr_steps.networks.encoders import Encoder
from simclr_steps.networks.features import compute_features
from simclr_steps.settings.labels import PerClass
from simclr_steps.settings.network import ProjectionHead
from tests.benchmarks.data import pack

DENSE = tuple(float(value) for value in np.logspace(-4, 2, 13))
LABELS_PER_CLASS = (1, 2, 5, 10, 50, None)  # None: all labels, which can be drawn in one way
DRAWS, SUBSET = 5, 2000  # images of each split of MNIST and CIFAR-10
SPLITS = {"digits": 5, "mnist": 3, "cifar10": 3, "photos": 10}
FIRST_SEED = 20  # the way of choosing was picked on others, up to 14
CPU = torch.device("cpu")

Features = dict[str, Array]  # by split, [N, D]
Line = tuple[str, str]  # input, labels per class


@dataclass(frozen=True)
class Found:
    """What one split shows: accuracies of the test split, means of the draws."""

    of_dense: list[float]  # for each of DENSE
    chosen: list[float]  # with the penalty that the hold-out and cross-validation choose, and with C = 1


def main() -> None:
    """Print a table for the data sets that are named, or for all."""
    print("| data | input | labels per class | best | C | lost: hold-out | cross-validation | C = 1 |")
    print("|---|---|---|---|---|---|---|---|")
    for name in sys.argv[1:] or SPLITS:
        of_splits: dict[Line, list[Found]] = {}
        for seed in range(FIRST_SEED, FIRST_SEED + SPLITS[name]):
            for line, found in _of_split(name, seed):
                of_splits.setdefault(line, []).append(found)
        for (given, per_class), founds in of_splits.items():
            dense = 100 * np.mean([found.of_dense for found in founds], axis=0)
            chosen = 100 * np.mean([found.chosen for found in founds], axis=0)
            lost = [f"{round(dense.max() - accuracy, 1) + 0.0:.1f}" for accuracy in chosen]  # without a -0.0
            row = [name, given, per_class, f"{dense.max():.1f}", f"{DENSE[int(dense.argmax())]:.1g}", *lost]
            print("| " + " | ".join(row) + " |", flush=True)


def _of_split(name: str, seed: int) -> Iterator[tuple[Line, Found]]:
    with tempfile.TemporaryDirectory() as folder:
        inputs, labels = _inputs(name, Path(folder), seed)
    for given, features in inputs.items():
        for per_class in LABELS_PER_CLASS:
            if per_class is None or per_class <= np.bincount(labels["train"]).min():
                yield (given, str(per_class or "all")), _found(features, labels, per_class, seed)


def _inputs(name: str, folder: Path, seed: int) -> tuple[dict[str, Features], dict[str, Labels]]:
    originals = os.environ.get("SIMCLR_TEST_DATA", "")
    block: dict[str, Any] = {"source": "digits", "validation_fraction": 0.1, "test_fraction": 0.2}
    if name == "photos":
        shares = {"validation_fraction": 0.2, "test_fraction": 0.4}
        block = {"source": "folder", "path": str(_table(originals, folder)), "image_size": 64, **shares}
    elif name != "digits":
        block = {"source": "torchvision", "name": name.upper(), "path": originals, "subset": SUBSET}
    packed = pack({**block, "split_seed": seed}, folder)
    splits = {split: read_split(packed, split) for split in ("train", "validation", "test")}
    _, _, side, channels = splits["train"].images.shape
    torch.manual_seed(seed)
    head = ProjectionHead()
    architecture = Architecture(
        encoder="resnet18", stem="small", channels=channels, image_size=side, projection_head=head
    )
    network = Encoder(architecture)
    inputs = {
        "pixels": {one: np.float32(1 / 255) * split.images.reshape(len(split), -1) for one, split in splits.items()},
        "random features": {one: compute_features(network, split.images, CPU)[0] for one, split in splits.items()},
    }
    return inputs, {one: split.labels for one, split in splits.items()}


def _table(originals: str, folder: Path) -> Path:
    """Write a table of the photographs, whichever part they are given in, with the folder of each as its class."""
    photos = sorted(Path(originals, "photos").resolve().rglob("*.jpg"))
    rows = {"path": [str(photo) for photo in photos], "label": [photo.parent.name for photo in photos]}
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(folder / "photos.csv", index=False)
    return folder / "photos.csv"


def _found(features: Features, labels: dict[str, Labels], per_class: int | None, seed: int) -> Found:
    grid = sorted({*DENSE, *PENALTIES})
    draws = list(_draws(features["train"], labels["train"], per_class, seed))
    accuracy = {penalty: np.zeros(len(draws)) for penalty in grid}
    for number, (x, y) in enumerate(draws):
        probe = LinearProbe(x[None], y, CPU)
        for penalty in grid:
            accuracy[penalty][number] = probe.fit(penalty).accuracy(features["test"], labels["test"])
    mean = {penalty: float(values.mean()) for penalty, values in accuracy.items()}
    x, y = draws[0]
    hold_out = features["validation"], labels["validation"]
    chosen = [choose_penalty(x[None], x, y, judged, CPU)[0] for judged in (hold_out, None)]
    return Found([mean[penalty] for penalty in DENSE], [mean[penalty] for penalty in (*chosen, 1.0)])


def _draws(x: Array, y: Labels, per_class: int | None, seed: int) -> Iterator[tuple[Array, Labels]]:
    for draw in range(DRAWS if per_class else 1):
        rows = stratified_draw(y, PerClass(per_class=per_class) if per_class else 1.0, (seed, draw))
        yield x[rows], y[rows]


if __name__ == "__main__":
    main()
