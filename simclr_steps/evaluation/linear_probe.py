"""Linear probes: linear classifiers on frozen features, fitted until nothing is left to gain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor

from simclr_steps.data.splits import Labels, Rows

Array = npt.NDArray[np.float32]

_MAX_ITERATIONS = 5000
_MANY_VALUES = 2**22  # where scikit-learn, which has no GPU, takes minutes; with fewer one thread is the fastest
_LEAST_GRADIENT = 1e-6  # of the mean loss; at 1e-4, scikit-learn's own, accuracies were half a point off
_LEAST_CHANGE = 1e-9  # of the loss, which in float32 is none


@dataclass(frozen=True)
class Scaling:
    """Centers all features and divides them by one number, so that they keep their proportions.

    On the hold-out of the digits (the demo's encoder, 8 draws of 10, 50 and 144 labels) that came within 0.7 points of
    the best of four scalings for SimCLR features and pixels, where standardizing each feature cost pixels 8 points at
    10 labels, and leaving all raw or of unit length cost random features 8 to 17 points at 144.
    """

    mean: Array  # [D]
    scale: float

    def __call__(self, features: Array) -> Array:
        """Return features, [N, D], scaled."""
        return (features - self.mean) / np.float32(self.scale)


def scaling_of(features: Array) -> Scaling:
    """Return the scaling after which features, [N, D], have a mean of 0 and, on average, a variance of 1."""
    return Scaling(features.mean(axis=0), float(np.sqrt(features.var(axis=0).mean())) or 1.0)


def logistic_regression(
    features: dict[str, Array], labels: dict[str, Labels], rows: Rows, device: torch.device
) -> dict[str, float]:
    """Fit logistic regression to some training rows, return its accuracy on each other split.

    It is scikit-learn's, or for many rows the linear probe's, which has the same optimum.
    """
    train, targets = features["train"][rows], labels["train"][rows]
    if train.size >= _MANY_VALUES:
        return linear_probe(train[None], features, {**labels, "train": targets}, device)
    scaled = scaling_of(train)
    model = LogisticRegression(max_iter=_MAX_ITERATIONS, tol=_LEAST_GRADIENT)
    with threadpool_limits(1):
        model.fit(scaled(train), targets)
    return {
        split: float(np.mean(model.predict(scaled(values)) == labels[split]))
        for split, values in features.items()
        if split != "train"
    }


def linear_probe(
    views: Array, features: dict[str, Array], labels: dict[str, Labels], device: torch.device
) -> dict[str, float]:
    """Fit a linear classifier to all training images on a device, return its accuracy on each other split.

    It has the optimum of logistic regression (scikit-learn's, with C = 1): the least sum of cross entropies, of each
    image the mean over its views, and of half the squared weights.

    Parameters
    ----------
    views
        float32 [V, N, D], features of V views of the N training images, or of these themselves as the only view.
    features
        Of the plain images, by split, [M, D]; those of train are not read.
    labels
        By split, int64, train's [N].
    """
    scaled = scaling_of(views.reshape(-1, views.shape[-1]))
    classes, y = np.unique(labels["train"], return_inverse=True)
    weight, bias = _fit(torch.from_numpy(scaled(views)).to(device), torch.from_numpy(y).to(device), len(classes))
    accuracies = {}
    for split, values in features.items():
        if split != "train":
            logits = torch.from_numpy(scaled(values)).to(device) @ weight.T + bias
            accuracies[split] = float(np.mean(classes[logits.argmax(dim=1).cpu().numpy()] == labels[split]))
    return accuracies


def _fit(x: Tensor, y: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Return weights [C, D] and biases [C] for features [V, N, D] and labels [N], by L-BFGS."""
    weight = torch.zeros(classes, x.shape[-1], device=x.device, requires_grad=True)
    bias = torch.zeros(classes, device=x.device, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=_MAX_ITERATIONS,
        max_eval=2 * _MAX_ITERATIONS,
        tolerance_grad=_LEAST_GRADIENT,
        tolerance_change=_LEAST_CHANGE,
        history_size=10,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        penalty = weight.square().sum() / (2 * len(y))
        penalty.backward()
        total = penalty.detach()
        for view in x:
            mean = F.cross_entropy(view @ weight.T + bias, y) / len(x)
            mean.backward()
            total += mean.detach()
        return total

    optimizer.step(loss)
    return weight.detach(), bias.detach()
