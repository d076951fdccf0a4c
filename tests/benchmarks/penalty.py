"""How much accuracy the choice among five penalties costs beside the best of 13, which the test split itself chooses.

    SIMCLR_TEST_DATA=FOLDER python -m tests.benchmarks.penalty [digits] [mnist] [cifar10] [photos]

FOLDER holds the files of MNIST and CIFAR-10, and photographs in photos/train and photos/test. Each data set is judged
by its pixels and by the features of a ResNet-18 with random weights, with 5 draws of each number of labels per class. A
line shows the mean accuracy of the best penalty of all, and the points that are lost with the penalty chosen on the
hold-out, in cross-validation, and with C = 1.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
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
DRAWS, SEED, SUBSET = 5, 0, 2000  # images of each split of MNIST and CIFAR-10
CPU = torch.device("cpu")

Features = dict[str, Array]  # by split, [N, D]


def main() -> None:
    """Print a table for the data sets that are named, or for all."""
    print("| data | input | labels per class | best | C | lost: hold-out | cross-validation | C = 1 |")
    print("|---|---|---|---|---|---|---|---|")
    for name in sys.argv[1:] or ["digits", "mnist", "cifar10", "photos"]:
        with tempfile.TemporaryDirectory() as folder:
            inputs, labels = _inputs(name, Path(folder))
        for given, features in inputs.items():
            for per_class in LABELS_PER_CLASS:
                if per_class is None or per_class <= np.bincount(labels["train"]).min():
                    row = [name, given, str(per_class or "all"), *_compared(features, labels, per_class)]
                    print("| " + " | ".join(row) + " |", flush=True)


def _inputs(name: str, folder: Path) -> tuple[dict[str, Features], dict[str, Labels]]:
    block: dict[str, Any] = {"source": "digits", "validation_fraction": 0.1, "test_fraction": 0.2}
    if name == "photos":
        path = os.environ["SIMCLR_TEST_DATA"] + "/photos"
        block = {"source": "folder", "path": path, "image_size": 64, "validation_fraction": 0.2}
    elif name != "digits":
        originals = os.environ["SIMCLR_TEST_DATA"]
        block = {"source": "torchvision", "name": name.upper(), "path": originals, "subset": SUBSET}
    packed = pack(block, folder)
    splits = {split: read_split(packed, split) for split in ("train", "validation", "test")}
    _, _, side, channels = splits["train"].images.shape
    torch.manual_seed(SEED)
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


def _compared(features: Features, labels: dict[str, Labels], per_class: int | None) -> list[str]:
    """Return the cells of one line."""
    grid = sorted({*DENSE, *PENALTIES})
    draws = list(_draws(features["train"], labels["train"], per_class))
    accuracy = {penalty: np.zeros(len(draws)) for penalty in grid}
    for number, (x, y) in enumerate(draws):
        probe = LinearProbe(x[None], y, CPU)
        for penalty in grid:
            accuracy[penalty][number] = probe.fit(penalty).accuracy(features["test"], labels["test"])
    mean = {penalty: 100 * float(values.mean()) for penalty, values in accuracy.items()}
    x, y = draws[0]
    hold_out = features["validation"], labels["validation"]
    chosen = [choose_penalty(x[None], x, y, judged, CPU)[0] for judged in (hold_out, None)]
    best = max(mean, key=mean.__getitem__)
    lost = [f"{mean[best] - mean[penalty]:.1f} ({penalty:g})" for penalty in chosen]
    return [f"{mean[best]:.1f}", f"{best:.1g}", *lost, f"{mean[best] - mean[1.0]:.1f}"]


def _draws(x: Array, y: Labels, per_class: int | None) -> Iterator[tuple[Array, Labels]]:
    for draw in range(DRAWS if per_class else 1):
        rows = stratified_draw(y, PerClass(per_class=per_class) if per_class else 1.0, (SEED, draw))
        yield x[rows], y[rows]


if __name__ == "__main__":
    main()
