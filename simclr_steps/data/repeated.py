"""Images that occur more than once, pixel for pixel, and how they distort an accuracy."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from simclr_steps.data.packed import Description, Pixels, Repeated
from simclr_steps.data.splits import JUDGED, Labels, rows_of_split
from simclr_steps.settings.base import NO_LABEL, SPLITS

Digests = npt.NDArray[np.uint64]  # [N]; two different images share one by chance once in 10^19

_NAMES = {"validation": "hold-out", "test": "test split"}


def digests_of(images: Pixels) -> Digests:
    """Return a digest of each image's pixels: [N, H, W, C] to uint64 [N]."""
    parts = [hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=8).digest() for image in images]
    return np.frombuffer(b"".join(parts), dtype=np.uint64)


def count_repeated(digests: Mapping[str, Digests], labels: Mapping[str, Labels]) -> Repeated:
    """Count the images that are there more than once, given those of every split's array."""
    shared = {split: int(np.isin(digests[split], digests["train"]).sum()) for split in JUDGED}
    named = {split: digests[split] for split in JUDGED}
    for split in ("train", "unlabeled"):
        named[split] = digests["train"][rows_of_split(split, labels["train"])]
    between = {
        later: {split: int(np.isin(named[later], named[split]).sum()) for split in SPLITS[:number]}
        for number, later in enumerate(SPLITS)
    }
    everywhere, known = (np.concatenate([part[split] for split in digests]) for part in (digests, labels))
    everywhere, known = everywhere[known != NO_LABEL], known[known != NO_LABEL]
    pairs = np.unique(np.stack([everywhere, known.astype(np.uint64)]), axis=1)
    images, labels_of_each = np.unique(pairs[0], return_counts=True)
    contradictory = int(np.isin(everywhere, images[labels_of_each > 1]).sum())
    return Repeated(
        trained_on=_positive(shared),
        between={split: some for split, counts in between.items() if (some := _positive(counts))},
        contradictory=contradictory,
    )


def _positive(counts: Mapping[str, int]) -> dict[str, int]:
    return {split: count for split, count in counts.items() if count}


def sentences(data: Description) -> list[str]:
    """Say what is repeated, and what that does to an accuracy."""
    has_groups = any(split.groups is not None for split in data.splits.values())
    advice = "put them and their groups into one group" if has_groups else "remove them from one of the two"
    said = [
        f"{count:,} of the {data.splits[split].images:,} images of the {_NAMES[split]} are also in the training data, "
        f"pixel for pixel, so its accuracy does not carry over to new images: {advice}."
        for split, count in data.repeated.trained_on.items()
    ]
    if count := data.repeated.between.get("test", {}).get("validation"):
        said.append(
            f"{count:,} of the {data.splits['test'].images:,} images of the test split are also in the hold-out, "
            f"pixel for pixel, which is used to select checkpoints: {advice}."
        )
    if count := data.repeated.between.get("unlabeled", {}).get("train"):
        said.append(
            f"{count:,} of the {data.splits['unlabeled'].images:,} unlabeled images are also in train, pixel for "
            "pixel, so pretraining treats them as different images: remove them."
        )
    if data.repeated.contradictory:
        said.append(
            f"{data.repeated.contradictory:,} labeled images also occur under a different label, pixel for pixel: "
            "correct the labels, as no classifier can be right about all of them."
        )
    return said
