"""The temperature is that of least cross entropy, as others find it, and makes a surer network less wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torchmetrics.functional.classification import multiclass_calibration_error

from simclr_steps.evaluation.calibration import calibrated_cross_entropy, calibration_error, fitted_temperature


def drawn(temperature: float, count: int = 4000, classes: int = 5) -> tuple[Tensor, Tensor]:
    """Return logits and labels that were drawn by them after a division by the temperature."""
    random = np.random.default_rng(0)
    logits = 4 * random.normal(size=(count, classes))
    chances = np.exp(logits / temperature)
    chances /= chances.sum(axis=1, keepdims=True)
    labels = [random.choice(classes, p=of_image) for of_image in chances]
    return torch.from_numpy(logits).float(), torch.tensor(labels)


@pytest.mark.parametrize("truth", [0.4, 1.0, 3.0])
def test_the_temperature_is_found_that_labels_were_drawn_by_and_that_torch_finds(truth: float) -> None:
    logits, labels = drawn(truth)
    found = fitted_temperature(logits, labels)
    inverse = torch.ones(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([inverse], max_iter=200, line_search_fn="strong_wolfe", tolerance_change=1e-15)

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = torch.nn.functional.cross_entropy(logits.double() * inverse, labels)
        value.backward()
        return value

    optimizer.step(loss)
    assert found == pytest.approx(1 / float(inverse.detach()), rel=1e-4)
    assert found == pytest.approx(truth, rel=0.1)


def test_of_two_classes_it_is_scikit_learns_logistic_regression_on_the_difference() -> None:
    logits, labels = drawn(2.0, classes=2)
    regression = LogisticRegression(C=1e12, fit_intercept=False, tol=1e-10)
    regression.fit((logits[:, 1:] - logits[:, :1]).double().numpy(), labels.numpy())
    assert fitted_temperature(logits, labels) == pytest.approx(1 / regression.coef_.item(), rel=1e-5)


def test_the_error_is_torchmetrics_over_15_bins_and_falls_with_the_fitted_temperature() -> None:
    logits, labels = drawn(3.0)
    found = fitted_temperature(logits, labels)
    assert found is not None
    for temperature in (1.0, found):
        chances = (logits / temperature).softmax(dim=1)
        expected = float(multiclass_calibration_error(chances, labels, 5, n_bins=15))
        assert calibration_error(logits, labels, temperature) == pytest.approx(expected, abs=1e-4)
    assert calibration_error(logits, labels, found) < calibration_error(logits, labels) / 5


@pytest.mark.parametrize("kind", ["all right", "all wrong", "no different", "far apart"])
def test_beyond_the_limits_there_is_none(kind: str) -> None:
    labels = torch.arange(12) % 3
    right = torch.nn.functional.one_hot(labels).float()
    logits = {"all right": right, "all wrong": -right, "no different": 0 * right, "far apart": 1000 * right}[kind]
    assert fitted_temperature(logits, labels) is None


def test_calibrated_cross_entropy_is_the_same_for_logits_of_any_scale_and_the_least_of_all_temperatures() -> None:
    logits, labels = drawn(3.0)
    found = calibrated_cross_entropy(logits, labels)
    assert calibrated_cross_entropy(7 * logits, labels) == pytest.approx(found, rel=1e-6)
    others = [
        float(torch.nn.functional.cross_entropy(logits.double() / temperature, labels))
        for temperature in np.logspace(-1, 1.5, 500)
    ]
    assert found == pytest.approx(min(others), rel=1e-4) and found <= min(others)


def test_calibrated_cross_entropy_of_right_guesses_is_zero_and_of_wrong_ones_that_of_chance() -> None:
    labels = torch.arange(4)
    right, wrong = 5 * torch.eye(4), -5 * torch.eye(4)
    assert calibrated_cross_entropy(right, labels) < 1e-9
    assert calibrated_cross_entropy(wrong, labels) == pytest.approx(np.log(4), rel=0.05)
