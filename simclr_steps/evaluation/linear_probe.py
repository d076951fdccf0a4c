"""Linear probes: linear classifiers on frozen features, fitted to convergence."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor

from simclr_steps.data.row_tables import log_odds
from simclr_steps.data.splits import Labels

Array = npt.NDArray[np.float32]

_MAX_ITERATIONS = 5000
_MANY_VALUES = 2**22  # where scikit-learn, which has no GPU, takes minutes; with fewer one thread is the fastest
_LEAST_GRADIENT = 1e-6  # of the mean loss; at 1e-4, scikit-learn's own, accuracies were half a point off
_LOGIT_OF_UNKNOWN = -1e30
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


class LinearProbe:
    """Logistic regression: minimizes C times the summed cross entropies plus half the sum of squared weights.

    An image's cross entropy is the mean over its views. It is scikit-learn's, or for many values or several views one
    on the device with the same optimum. A fit starts where the last one ended, which is fast along rising values of C.
    Fewer rows than dimensions are fitted in an orthonormal basis of what they span: the best weights lie in it.

    Parameters
    ----------
    views
        float32 [V, N, D], features of V views of the N training images, or of these themselves as the only view.
    labels
        int64 [N], of at least two classes.
    """

    def __init__(self, views: Array, labels: Labels, device: torch.device) -> None:
        self._scaling = scaling_of(views.reshape(-1, views.shape[-1]))
        self._basis: Array | None = None
        if views.size < views.shape[-1] ** 2:  # fewer rows than dimensions
            self._basis = np.linalg.qr(self._scaled(views).reshape(-1, views.shape[-1]).T)[0]
        scaled = self._scaled(views)
        on_device = len(views) > 1 or views.size >= _MANY_VALUES
        self._model = _OnDevice(scaled, labels, device) if on_device else _OnOneThread(scaled[0], labels)

    def fit(self, penalty: float) -> LinearProbe:
        """Fit with a penalty given as scikit-learn's C: smaller values penalize large weights more."""
        self._model.fit(penalty)
        return self

    def kept(self) -> LinearProbe:
        """Return the probe as it is fitted now, whatever this one is fitted to later."""
        probe = copy.copy(self)
        probe._model = self._model.kept()
        return probe

    def accuracy(self, features: Array, labels: Labels) -> float:
        """Return the share of images, features [M, D], whose label, int64 [M], is guessed."""
        return float(np.mean(self.right(features, labels)))

    def right(self, features: Array, labels: Labels) -> npt.NDArray[np.bool_]:
        """Return whether each image's label is guessed: [M, D] and int64 [M] to bool [M]."""
        return np.asarray(self._model.predict(self._scaled(features)) == labels)

    def certainty(self, features: Array) -> npt.NDArray[np.float64]:
        """Return the log-odds of each image's likeliest class, features [M, D] to float64 [M]."""
        return np.asarray(log_odds(self._model.logits(self._scaled(features))).max(axis=1))

    def logits(self, features: Array, classes: Labels) -> Array:
        """Return the logits of classes, rising int64 [C] with all that were learned: [M, D] to float32 [M, C].

        Of a class that was not learned it is so low that its probability is 0 at any temperature.
        """
        logits = np.full((len(features), len(classes)), _LOGIT_OF_UNKNOWN, dtype=np.float32)
        logits[:, np.searchsorted(classes, self._model.classes)] = self._model.logits(self._scaled(features))
        return logits

    def _scaled(self, features: Array) -> Array:
        """Return features, [..., D], scaled and, if there is a basis, in it."""
        scaled = self._scaling(features)
        return scaled if self._basis is None else scaled @ self._basis


class _OnOneThread:
    def __init__(self, x: Array, labels: Labels) -> None:
        self._given = x, labels
        self._model = LogisticRegression(max_iter=_MAX_ITERATIONS, tol=_LEAST_GRADIENT, warm_start=True)

    def fit(self, penalty: float) -> None:
        with threadpool_limits(1):
            self._model.set_params(C=penalty).fit(*self._given)

    def kept(self) -> _OnOneThread:
        other = copy.copy(self)
        other._model = copy.copy(self._model)  # which puts new weights in the place of its old ones
        return other

    @property
    def classes(self) -> Labels:
        return np.asarray(self._model.classes_)

    def predict(self, x: Array) -> Labels:
        guesses: Labels = self._model.predict(x)
        return guesses

    def logits(self, x: Array) -> Array:
        found: Array = self._model.decision_function(x)
        return np.stack([np.zeros_like(found), found], axis=1) if found.ndim == 1 else found


class _OnDevice:
    def __init__(self, views: Array, labels: Labels, device: torch.device) -> None:
        self.classes, y = np.unique(labels, return_inverse=True)
        self._x, self._y = torch.from_numpy(views).to(device), torch.from_numpy(y).to(device)
        self._weight = torch.zeros(len(self.classes), views.shape[-1], device=device, requires_grad=True)
        self._bias = torch.zeros(len(self.classes), device=device, requires_grad=True)

    def fit(self, penalty: float) -> None:
        optimizer = torch.optim.LBFGS(
            [self._weight, self._bias],
            max_iter=_MAX_ITERATIONS,
            max_eval=2 * _MAX_ITERATIONS,
            tolerance_grad=_LEAST_GRADIENT,
            tolerance_change=_LEAST_CHANGE,
            history_size=10,
            line_search_fn="strong_wolfe",
        )

        def loss() -> Tensor:
            optimizer.zero_grad()
            cost_of_weights = self._weight.square().sum() / (2 * penalty * len(self._y))
            cost_of_weights.backward()
            total = cost_of_weights.detach()
            for view in self._x:
                mean = F.cross_entropy(self._logits(view), self._y) / len(self._x)
                mean.backward()
                total += mean.detach()
            return total

        optimizer.step(loss)

    def kept(self) -> _OnDevice:
        other = copy.copy(self)
        other._weight, other._bias = (
            weights.detach().clone().requires_grad_() for weights in (self._weight, self._bias)
        )
        return other

    @torch.no_grad()
    def predict(self, x: Array) -> Labels:
        guesses: Labels = self.classes[self._logits(torch.from_numpy(x).to(self._x.device)).argmax(dim=1).cpu().numpy()]
        return guesses

    @torch.no_grad()
    def logits(self, x: Array) -> Array:
        return np.asarray(self._logits(torch.from_numpy(x).to(self._x.device)).cpu())

    def _logits(self, x: Tensor) -> Tensor:
        return x @ self._weight.T + self._bias
