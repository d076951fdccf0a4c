"""The monitors are the papers' formulas, and measuring leaves an encoder as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.spatial.distance import pdist
from sklearn.neighbors import KNeighborsClassifier

from simclr_steps.data.packed import Split, read_split
from simclr_steps.methods import monitors
from simclr_steps.methods.monitors import MONITORS, HoldOutMonitor, alignment, rankme, uniformity
from simclr_steps.networks.encoders import Encoder, load_network
from simclr_steps.networks.features import compute_features
from simclr_steps.training.loading import Images


def sphere(*shape: int) -> npt.NDArray[np.float64]:
    points = np.random.default_rng(0).normal(size=shape) + 1
    return np.asarray(points / np.linalg.norm(points, axis=-1, keepdims=True))


@pytest.mark.parametrize("views", [2, 3])
def test_alignment_and_uniformity_are_wang_and_isolas(views: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitors, "_SIMILARITIES_AT_A_TIME", 1000)  # uniformity in many chunks
    points = sphere(views, 90, 16)
    pairs = [(a, b) for a in range(views) for b in range(a)]
    distances = np.mean([((points[a] - points[b]) ** 2).sum(axis=-1) for a, b in pairs])
    spread = np.mean([np.log(np.exp(-2 * pdist(view) ** 2).mean()) for view in points])
    not_normalized = torch.from_numpy(3 * points)
    assert alignment(not_normalized) == pytest.approx(distances, rel=1e-5)
    assert uniformity(not_normalized) == pytest.approx(spread, rel=1e-5)


def test_alignment_and_uniformity_know_their_extremes() -> None:
    one, other = torch.eye(8)[:1].expand(5, 8), -torch.eye(8)[:1].expand(5, 8)
    assert alignment(torch.stack([one, one])) == 0 and alignment(torch.stack([one, other])) == pytest.approx(4)
    assert uniformity(torch.stack([one, one])) == pytest.approx(0, abs=1e-6)
    spread = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 500, 1000)))
    assert uniformity(spread) == pytest.approx(-4, abs=0.05)


def test_rankme_is_garrido_and_others_equation() -> None:
    features = sphere(80, 20) * np.linspace(0.01, 3, 20)
    spectrum = np.linalg.svd(features, compute_uv=False)
    shares = spectrum / spectrum.sum() + 1e-7
    assert rankme(torch.from_numpy(features)) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-5)


def test_rankme_counts_the_dimensions_that_are_used() -> None:
    assert rankme(torch.eye(30)[:, :12]) == pytest.approx(12, rel=1e-3)
    assert rankme(torch.ones(30, 12)) == pytest.approx(1, rel=1e-3)
    assert rankme(torch.zeros(30, 12)) == pytest.approx(1, rel=1e-3)
    assert np.isnan(rankme(torch.full((30, 12), torch.nan)))


@pytest.fixture
def encoder(write_encoder: Callable[..., Path]) -> Encoder:
    network = load_network(write_encoder()).train()
    assert isinstance(network, Encoder)
    return network


@pytest.fixture
def splits(write_packed: Callable[..., Path]) -> tuple[Split, Split]:
    data = write_packed()
    return read_split(data, "train"), read_split(data, "validation")


def monitor(train: Split, hold_out: Split, seed: int = 0) -> HoldOutMonitor:
    rows = np.arange(len(hold_out))
    return HoldOutMonitor(Images([train.images]), train.labels, Images([hold_out.images]), hold_out.labels, rows, seed)


def without_labels(split: Split) -> Split:
    return Split(split.images, np.full_like(split.labels, -1))


def test_measuring_changes_neither_weights_nor_statistics_nor_random_state(
    encoder: Encoder, splits: tuple[Split, Split]
) -> None:
    weights = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    random_state, numpy_state = torch.get_rng_state(), str(np.random.get_state())
    monitor(*splits).measure(encoder, torch.randn(2, 60, 16, generator=torch.Generator()))
    assert all(torch.equal(weights[name], tensor) for name, tensor in encoder.state_dict().items())
    assert encoder.training and all(module.training for module in encoder.modules())
    assert torch.equal(torch.get_rng_state(), random_state)
    assert str(np.random.get_state()) == numpy_state


def test_knn_accuracy_is_scikit_learns_and_needs_labels(encoder: Encoder, splits: tuple[Split, Split]) -> None:
    train, hold_out = splits
    bank, queries = (compute_features(encoder, split.images, torch.device("cpu"))[0] for split in splits)
    expected = KNeighborsClassifier(10, metric="cosine").fit(bank, train.labels).score(queries, hold_out.labels)
    projections = torch.from_numpy(sphere(2, 60, 16))
    found = monitor(train, hold_out).measure(encoder, projections)
    assert tuple(found) == MONITORS
    assert found["validate_knn_accuracy"] == pytest.approx(expected, abs=0.02)
    assert found["validate_rankme"] == pytest.approx(rankme(torch.from_numpy(queries)), rel=1e-4)

    for nothing in ((without_labels(train), hold_out), (train, without_labels(hold_out))):
        blind = monitor(*nothing).measure(encoder, projections)
        assert blind == {**found, "validate_knn_accuracy": None}


def test_a_large_training_split_is_thinned_alike_each_time(
    encoder: Encoder, splits: tuple[Split, Split], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitors, "_MOST_NEIGHBORS", 30)
    read: list[int] = []

    def counted(network: Encoder, images: torch.Tensor, device: torch.device) -> tuple[npt.NDArray[np.float32], ...]:
        read.append(len(images))
        return compute_features(network, images, device)

    monkeypatch.setattr("simclr_steps.training.loading.compute_features", counted)
    projections = torch.from_numpy(sphere(2, 60, 16))
    first, second = (monitor(*splits, seed=3).measure(encoder, projections) for _ in range(2))
    assert first == second and read == [60, 30] * 2
