"""What the features of held-out images tell of an encoder while it trains, with labels and without."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from simclr_steps.encoders import Encoder
from simclr_steps.features import compute_features, images_at_a_time
from simclr_steps.neighbours import knn_accuracy
from simclr_steps.packed import NO_LABEL, Split
from simclr_steps.splits import Rows, proportional_draw

MONITORS = ("validate_knn_accuracy", "validate_alignment", "validate_uniformity", "validate_rankme")

_MOST_IMAGES = 10_000  # of either split: enough to compare epochs, and cheap
_NEIGHBOURS = 10
_SIMILARITIES_AT_A_TIME = 2**24  # 64 MiB in fp32
_RANKME_EPSILON = 1e-7  # the paper's, for fp32


class HoldOutMonitor:
    """Measures an encoder on the hold-out and, where labels exist, by its neighbours from the training split.

    Of either split it takes up to 10,000 images, drawn by `seed`, the same each time.
    """

    def __init__(self, train: Split, hold_out: Split, seed: int) -> None:
        self._train, self._hold_out = train, hold_out
        labelled = np.flatnonzero(train.labels != NO_LABEL)
        self._bank = labelled[proportional_draw(train.labels[labelled], _MOST_IMAGES, seed)]
        self._rows = proportional_draw(hold_out.labels, _MOST_IMAGES, seed)

    def measure(self, encoder: Encoder, projections: Tensor) -> dict[str, float | None]:
        """Return the value of each of MONITORS; None where there are no labels.

        `projections` are those of the whole hold-out's fixed views, float [V, N, D]. Weights, statistics and random
        state stay as they are.
        """
        labels = self._hold_out.labels[self._rows]
        features = _features(encoder, self._hold_out.images, self._rows, projections.device)
        accuracy = None
        if len(self._bank) and (labels != NO_LABEL).any():
            bank = _features(encoder, self._train.images, self._bank, projections.device)
            accuracy = knn_accuracy(bank, self._train.labels[self._bank], features, labels, _NEIGHBOURS)
        projections = projections[:, torch.from_numpy(self._rows).to(projections.device)]
        values = (accuracy, alignment(projections), uniformity(projections), rankme(features))
        return dict(zip(MONITORS, values, strict=True))


def _features(encoder: Encoder, images: npt.NDArray[np.uint8], rows: Rows, device: torch.device) -> Tensor:
    """Return the backbone's features of some images, float32 [N, D], reading only a batch of them at a time."""
    batch_size = images_at_a_time(images)
    batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    parts = [torch.from_numpy(compute_features(encoder, images[batch], device)[0]) for batch in batches]
    return torch.cat(parts).to(device)


def alignment(projections: Tensor) -> float:
    """Return how far apart the views of an image are: the mean squared distance of positive pairs on the unit sphere.

    Wang and Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity on the
    Hypersphere", 2020, section 4.1, with the exponent 2. `projections`, float [V, N, D], are V ≥ 2 views of N images
    and need not be normalised. From 0, all views alike, to 4.
    """
    views = F.normalize(projections.float(), dim=-1)
    first, second = torch.triu_indices(len(views), len(views), offset=1, device=views.device)
    return float((views[first] - views[second]).square().sum(dim=-1).double().mean())


def uniformity(projections: Tensor) -> float:
    """Return how evenly images cover the unit sphere: log of the mean of exp(-2‖x - y‖²) over pairs of images.

    Wang and Isola, 2020, section 4.1, with t = 2, in each view and then their mean. `projections`, float [V, N, D] with
    N ≥ 2, need not be normalised. From 0, all images alike, down to about -4, many images spread over many dimensions.
    """
    views = F.normalize(projections.float(), dim=-1)
    count = views.shape[1]
    chunk = max(1, _SIMILARITIES_AT_A_TIME // count)
    total = torch.zeros(len(views), dtype=torch.float64, device=views.device)
    for view, points in enumerate(views):
        for start in range(0, count, chunk):
            similarity = points[start : start + chunk] @ points.T
            similarity.diagonal(offset=start).fill_(-torch.inf)  # no image is a pair with itself
            total[view] += (4 * (similarity - 1)).exp().sum(dtype=torch.float64)  # ‖x - y‖² = 2 - 2 x·y
    return float((total / (count * (count - 1))).log().mean())


def rankme(features: Tensor) -> float:
    """Return the effective rank of features, from 1 to their dimension: the exponential of their spectrum's entropy.

    Garrido et al., "RankMe: Assessing the Downstream Performance of Pretrained Self-Supervised Representations by Their
    Rank", 2023, equation 1. `features` are float [N, D], neither centred nor normalised; not a number if one is not.
    """
    if not features.isfinite().all():
        return math.nan
    spectrum = torch.linalg.svdvals(features.float())
    shares = (spectrum / spectrum.sum().clamp(min=torch.finfo().tiny)).double() + _RANKME_EPSILON
    return float((-shares * shares.log()).sum().exp())
