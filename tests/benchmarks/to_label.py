"""Whether the labels of the images in to_label.csv, uncertain ones first, are worth more than those of random images.

    python -m tests.benchmarks.to_label FEATURES DATA

FEATURES is the folder `features` of a run with those of train and test, DATA the folder of its packed images, all of
which have labels. Logistic regression (C = 1) on the backbone's features learns the labels that a way of choosing asks
for, and is judged on the test split. The draws are seeds of the clusters and of random rows. Uncertain images are those
of whose likeliest class such a regression on the labels that were there before is least certain.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from simclr_steps.data.gathered import read_features
from simclr_steps.data.packed import read_labels
from simclr_steps.data.splits import Labels, Rows, stratified_draw
from simclr_steps.evaluation.clusters import order_to_label, uncertain_to_label
from simclr_steps.evaluation.linear_probe import Array, LinearProbe
from simclr_steps.evaluation.similar_rows import directions, similar

DRAWS = 5
PROPOSED = 100  # images, as n_to_label is
FROM_NONE = (10, 20, 50, 100)  # labels in all
BEFORE, MORE = (20, 50, 100), (10, 25, 50, 100)  # labels that were there, and those that are added


def main() -> None:
    """Print a table for labels from none, and one for each number of labels that were there before."""
    features, data = map(Path, sys.argv[1:])
    arrays = {split: np.array(read_features(features / split, "backbone")) for split in ("train", "test")}
    labels = {split: read_labels(data, split) for split in arrays}
    own = directions(arrays["train"])
    distance = similar(own, 10, 0.99, np.zeros(len(own), dtype=np.int64)).distance
    print(f"{len(own)} images to choose from, {len(labels['test'])} to judge by, {DRAWS} draws: mean (worst to best)")
    for before in (0, *BEFORE):
        counts = MORE if before else FROM_NONE
        found: dict[str, list[list[float]]] = {}
        for seed in range(DRAWS):
            known = stratified_draw(labels["train"], before, (0, seed)) if before else np.empty(0, dtype=np.int64)
            for way, order in _ways(arrays["train"], own, distance, labels["train"], known, seed):
                chosen = [np.concatenate([known, order[:count]]) for count in counts]
                found.setdefault(way, []).append([_accuracy(arrays, labels, rows) for rows in chosen])
        print(f"\n| {before} labels, and of these more: | {' | '.join(map(str, counts))} |")
        print(f"|---|{'---|' * len(counts)}")
        for way, accuracies in found.items():
            told = [f"{np.mean(of):.1%} ({min(of):.1%} to {max(of):.1%})" for of in zip(*accuracies, strict=True)]
            print(f"| {way} | {' | '.join(told)} |", flush=True)


def _ways(
    features: Array, own: Array, distance: Array, labels: Labels, known: Rows, seed: int
) -> Iterator[tuple[str, Rows]]:
    """Yield the name of each way to choose further rows, and its rows in order; `known` have labels."""
    told = np.full(len(own), -1, dtype=np.int64)
    told[known] = labels[known]
    yield "at random", np.random.default_rng(seed).permutation(np.flatnonzero(told < 0))
    proposed = order_to_label(own, distance, told, PROPOSED, seed)
    yield "diverse and typical" if len(known) else "to_label.csv", proposed
    if len(known):
        sure = LinearProbe(features[known][None], labels[known], torch.device("cpu")).fit(1.0).certainty(features)
        yield "the same images, uncertain ones first", proposed[np.argsort(sure[proposed])]
        yield "to_label.csv", uncertain_to_label(features, own, distance, told, PROPOSED, seed)


def _accuracy(features: dict[str, Array], labels: dict[str, Labels], rows: Rows) -> float:
    """Return the accuracy on the test split after the labels of some rows of train."""
    few = features["train"][rows]
    probe = LinearProbe(few[None], labels["train"][rows], torch.device("cpu")).fit(1.0)
    return probe.accuracy(features["test"], labels["test"])


if __name__ == "__main__":
    main()
