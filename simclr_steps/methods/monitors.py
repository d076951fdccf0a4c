"""What the features of held-out images tell of an encoder while it trains, with labels and without."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from simclr_steps.data.splits import Labels, Rows, labeled_rows, proportional_draw
from simclr_steps.evaluation.neighbors import knn_accuracy
from simclr_steps.networks.encoders import Encoder
from simclr_steps.training.loading import Images, outputs

MONITORS = ("validate_knn_accuracy", "validate_alignment", "validate_uniformity", "validate_rankme")

_MOST_NEIGHBORS = 10_000  # images of the training split: enough to compare epochs, and cheap
_NEIGHBORS = 10
_SIMILARITIES_AT_A_TIME = 2**24  # 64 MiB in fp32
_RANKME_EPSILON = 1e-7  # the paper's, for fp32


class HoldOutMonitor:
    """Measures an encoder on the hold-out and, where labels exist, by its neighbors from the training split.

    Of the hold-out it takes `rows`, and of the training split up to 10,000 images, drawn by `seed`, the same each time.
    Labels are int64 [N], -1 for an image without one.
    """

    def __init__(
        self, train: Images, train_labels: Labels, hold_out: Images, hold_out_labels: Labels, rows: Rows, seed: int
    ) -> None:
        self.rows = rows
        self._train, self._train_labels = train, train_labels
        self._hold_out, self._hold_out_labels = hold_out, hold_out_labels
        labeled = labeled_rows(train_labels)
        self._bank = labeled[proportional_draw(train_labels[labeled], _MOST_NEIGHBORS, seed)]

    def measure(self, encoder: Encoder, projections: Tensor) -> dict[str, float | None]:
        """Return the value of each of MONITORS; None where there are no labels.

        `projections` are those of the fixed views of the hold-out's `rows`, float [V, N, D]. Weights, statistics and
        random state stay as they are.
        """
        device = projections.device
        labels = self._hold_out_labels[self.rows]
        features, _ = outputs(encoder, self._hold_out, self.rows, device)
        accuracy = None
        if len(self._bank) and len(labeled_rows(labels)):
            bank, _ = outputs(encoder, self._train, self._bank, device)
            accuracy = knn_accuracy(bank, self._train_labels[self._bank], features, labels, _NEIGHBORS)
        values = (accuracy, alignment(projections), uniformity(projections), rankme(features))
        return dict(zip(MONITORS, values, strict=True))


def alignment(projections: Tensor) -> float:
    """Return how far apart the views of an image are: the mean squared distance of positive pairs on the unit sphere.

    Wang and Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity on the
    Hypersphere", 2020, section 4.1, with the exponent 2. `projections`, float [V, N, D], are V ≥ 2 views of N images
    and need not be normalized. From 0, all views alike, to 4.
    """
    views = F.normalize(projections.float(), dim=-1)
    first, second = torch.triu_indices(len(views), len(views), offset=1, device=views.device)
    return float((views[first] - views[second]).square().sum(dim=-1).double().mean())


def uniformity(projections: Tensor) -> float:
    """Return how evenly images cover the unit sphere: log of the mean of exp(-2‖x - y‖²) over pairs of images.

    Wang and Isola, 2020, section 4.1, with t = 2, in each view and then their mean. `projections`, float [V, N, D] with
    N ≥ 2, need not be normalized. From 0, all images alike, down to about -4, many images spread over many dimensions.
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
    Rank", 2023, equation 1. `features` are float [N, D], neither centered nor normalized; not a number if one is not.
    """
    if not features.isfinite().all():
        return math.nan
    spectrum = torch.linalg.svdvals(features.float())
    shares = (spectrum / spectrum.sum().clamp(min=torch.finfo().tiny)).double() + _RANKME_EPSILON
    return float((-shares * shares.log()).sum().exp())
