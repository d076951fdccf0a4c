"""Linear probes have the optimum of logistic regression, wherever they are fitted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from simclr_steps.data.splits import stratified_draw
from simclr_steps.evaluation import linear_probe
from tests.unit.conftest import digits


def test_many_labels_are_fitted_on_the_device_with_the_same_accuracy(monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = digits(1797)
    pixels = images.reshape(len(images), -1).astype(np.float32)
    given = {"train": pixels[:900], "test": pixels[900:]}
    known = {"train": labels[:900] * 2, "test": labels[900:] * 2}  # the odd classes have no image
    rows = stratified_draw(known["train"], 300, 0)
    few = linear_probe.logistic_regression(given, known, rows, torch.device("cpu"))
    monkeypatch.setattr(linear_probe, "_MANY_VALUES", 1)
    many = linear_probe.logistic_regression(given, known, rows, torch.device("cpu"))
    assert few["test"] > 0.85 and many == pytest.approx(few, abs=0.002)


def test_scaling_centers_and_keeps_the_proportions_of_features() -> None:
    features = np.random.default_rng(0).normal(3, [1, 10, 0], (500, 3)).astype(np.float32)
    scaled = linear_probe.scaling_of(features)(features)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-5)
    assert scaled.var(axis=0).mean() == pytest.approx(1, abs=1e-4)
    assert scaled.std(axis=0)[1] / scaled.std(axis=0)[0] == pytest.approx(
        features.std(axis=0)[1] / features.std(axis=0)[0], rel=1e-4
    )
    constant = np.ones((5, 2), np.float32)
    np.testing.assert_array_equal(linear_probe.scaling_of(constant)(constant), 0)
