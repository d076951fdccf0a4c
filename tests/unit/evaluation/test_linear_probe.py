"""Linear probes have the optimum of logistic regression, wherever they are fitted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from simclr_steps.data.splits import Labels
from simclr_steps.evaluation import linear_probe
from simclr_steps.evaluation.linear_probe import Array, LinearProbe
from tests.unit.conftest import digits

CPU = torch.device("cpu")


@pytest.fixture
def pixels() -> tuple[Array, Labels]:
    """Return digits and labels of which the odd ones have no image."""
    images, labels = digits(1797)
    return images.reshape(len(images), -1).astype(np.float32), labels * 2


def test_many_labels_are_fitted_on_the_device_with_the_same_accuracy(
    pixels: tuple[Array, Labels], monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = pixels
    few = LinearProbe(x[None, :300], y[:300], CPU).fit(1.0).accuracy(x[900:], y[900:])
    monkeypatch.setattr(linear_probe, "_MANY_VALUES", 1)
    many = LinearProbe(x[None, :300], y[:300], CPU).fit(1.0).accuracy(x[900:], y[900:])
    assert few > 0.85 and many == pytest.approx(few, abs=0.002)


@pytest.mark.parametrize("many", [1, 2**22], ids=["on the device", "on one thread"])
def test_fits_along_rising_penalties_agree_with_scikit_learn(
    many: int, pixels: tuple[Array, Labels], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear_probe, "_MANY_VALUES", many)
    x, y = pixels
    probe = LinearProbe(x[None, :300], y[:300], CPU)
    scaled = linear_probe.scaling_of(x[:300])(x)
    found = [probe.fit(penalty).accuracy(x[900:], y[900:]) for penalty in (1e-4, 1e-2, 1.0)]
    expected = [
        LogisticRegression(C=penalty, tol=1e-6, max_iter=5000).fit(scaled[:300], y[:300]).score(scaled[900:], y[900:])
        for penalty in (1e-4, 1e-2, 1.0)
    ]
    assert found == pytest.approx(expected, abs=0.002)
    assert found[-1] > found[0] + 0.02, "the penalty makes a difference"
    told = LogisticRegression(C=1.0, tol=1e-6, max_iter=5000).fit(scaled[:300], y[:300]).predict_proba(scaled[900:])
    np.testing.assert_allclose(1 / (1 + np.exp(-probe.certainty(x[900:]))), told.max(axis=1), atol=0.01)
    logits = probe.logits(x[900:], np.arange(19)).astype(np.float64)
    np.testing.assert_allclose(softmax(logits, axis=1)[:, ::2], told, atol=0.01)
    assert (softmax(logits / 100, axis=1)[:, 1::2] == 0).all(), "classes that were not learned"


@pytest.mark.parametrize("many", [1, 2**22], ids=["on the device", "on one thread"])
@pytest.mark.parametrize("classes", [2, 3])
def test_certainty_ranks_images_whose_probabilities_round_to_one(
    many: int, classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear_probe, "_MANY_VALUES", many)
    x = np.eye(classes, dtype=np.float32).repeat(5, axis=0)
    probe = LinearProbe(x[None], np.arange(classes).repeat(5), CPU).fit(100.0)
    certainty = probe.certainty(np.array([30, 10, 20], dtype=np.float32)[:, None] * x[:1])
    assert certainty.argsort().tolist() == [1, 2, 0] and certainty.min() > 20


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
