"""Whether probabilities can be believed, and the temperature that makes them more so."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F
from scipy.optimize import brentq
from torch import Tensor
from torchmetrics.functional.classification import multiclass_calibration_error

from simclr_steps.data.row_tables import probabilities

LEAST, LARGEST = 0.01, 100.0  # temperatures that are looked for
_BINS = 15


def calibration_error(logits: Tensor, labels: Tensor, temperature: float = 1.0) -> float:
    """Return the expected calibration error of logits [N, C] that are divided by a temperature.

    It is that over 15 bins of confidence (Guo et al., "On Calibration of Modern Neural Networks", 2017, equation 3).
    """
    chances = (logits.double() / temperature).softmax(dim=1)
    return float(multiclass_calibration_error(chances, labels, logits.shape[1], n_bins=_BINS))


def fitted_temperature(logits: Tensor, labels: Tensor) -> float | None:
    """Return the temperature of least cross entropy for logits [N, C] and labels, int64 [N], N > 0.

    It is None where that lies beyond LEAST and LARGEST, as where all images are right, or none better than by chance.
    """
    above = logits.double().numpy()
    above = above - above[np.arange(len(labels)), labels.numpy()][:, None]  # each class above the true one

    def slope(log_inverse: float) -> float:
        """Return the slope of the cross entropy over 1 / temperature, which rises, as the entropy is convex in it."""
        return float((probabilities(np.exp(log_inverse) * above) * above).sum(axis=1).mean())

    hottest, coldest = -np.log(LARGEST), -np.log(LEAST)
    if slope(hottest) >= 0 or slope(coldest) <= 0:
        return None
    return float(np.exp(-brentq(slope, hottest, coldest, xtol=1e-12)))


def calibrated_cross_entropy(logits: Tensor, labels: Tensor) -> float:
    """Return the mean cross entropy in nats at the temperature for which it is least.

    It does not depend on the scale of the logits: it is what is left of the cross entropy when they are as sure as they
    should be (the refinement error of Berta et al., "Rethinking Early Stopping: Refine, Then Calibrate", 2025).
    """
    fitted = fitted_temperature(logits, labels)
    temperatures = (LEAST, LARGEST) if fitted is None else (fitted,)
    return min(float(F.cross_entropy(logits.double() / temperature, labels)) for temperature in temperatures)
