"""The penalty is the best of seven on the hold-out or, without one, in cross-validation, as scikit-learn finds it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from simclr_steps.data.splits import Labels
from simclr_steps.evaluation import penalty
from simclr_steps.evaluation.linear_probe import Array, LinearProbe
from simclr_steps.evaluation.penalty import PENALTIES, choose_penalty
from tests.unit.conftest import digits

CPU = torch.device("cpu")
MIDDLE = PENALTIES[3]

Data = tuple[Array, Labels]


def noisy(signal: float, dimensions: int = 200) -> Callable[[int, int], Data]:
    """Return a source of rows of ten classes, whose centers are `signal` apart in noise that looks the same."""
    centers = signal * np.random.default_rng(0).normal(size=(10, dimensions))

    def draw(count: int, seed: int) -> Data:
        labels = np.arange(count) % 10
        noise = np.random.default_rng(seed).normal(size=(count, dimensions))
        return (centers[labels] + noise).astype(np.float32), labels

    return draw


def by_scikit_learn(train: Data, judged: Data) -> np.ndarray:
    """Return for each penalty the log probabilities of the judged rows' classes, [P, M, C]."""
    mean, scale = train[0].mean(axis=0), np.sqrt(train[0].var(axis=0).mean())
    x = (train[0] - mean) / scale
    models = [LogisticRegression(C=penalty, tol=1e-6, max_iter=5000).fit(x, train[1]) for penalty in PENALTIES]
    return np.array([model.predict_log_proba((judged[0] - mean) / scale) for model in models])


def expected(log_probabilities: np.ndarray, labels: Labels) -> float:
    """Return the penalty with the least cross entropy when each has the best of many temperatures."""
    costs = []
    for of_penalty in log_probabilities:
        cooled = (of_penalty / temperature for temperature in np.logspace(-2, 2, 401))
        costs.append(min(float(-log_softmax(one, axis=1)[np.arange(len(labels)), labels].mean()) for one in cooled))
    return PENALTIES[int(np.argmin(costs))]


def pixels(start: int, end: int) -> Data:
    images, labels = digits(1797)
    return images[start:end].reshape(end - start, -1).astype(np.float32), labels[start:end]


def test_the_hold_out_decides_as_with_scikit_learn() -> None:
    chosen = set()
    for train, hold_out in (
        (pixels(0, 500), pixels(500, 800)),
        (noisy(0.1)(400, 1), noisy(0.1)(2000, 2)),
        (pixels(0, 500), (pixels(500, 800)[0], np.roll(pixels(500, 800)[1], 1))),  # no value is any better than chance
    ):
        found, probe = choose_penalty(train[0][None], train[0], train[1], hold_out, CPU)
        assert found == expected(by_scikit_learn(train, hold_out), hold_out[1])
        anew = LinearProbe(train[0][None], train[1], CPU).fit(found)
        assert probe.accuracy(*hold_out) == pytest.approx(anew.accuracy(*hold_out), abs=0.002)
        chosen.add(found)
    assert len(chosen) > 1, "noise needs another penalty than digits"


def test_without_a_hold_out_cross_validation_decides_as_with_scikit_learn() -> None:
    for x, y in (pixels(0, 303), noisy(0.1)(400, 1)):
        found, _ = choose_penalty(x[None], x, y, None, CPU)
        by_class, folds = np.argsort(y, kind="stable"), np.zeros((len(PENALTIES), len(y), 10))
        for number in range(5):
            apart = np.isin(np.arange(len(y)), by_class[number::5])
            folds[:, apart] = by_scikit_learn((x[~apart], y[~apart]), (x[apart], y[apart]))
        assert found == expected(folds, y)


def test_cross_validation_trains_on_views_and_judges_on_the_images_themselves() -> None:
    x, y = pixels(0, 303)
    on_nothing, on_images = (choose_penalty(x[None], judged, y, None, CPU)[0] for judged in (np.zeros_like(x), x))
    assert on_nothing != on_images


def test_a_class_of_two_is_cross_validated_and_a_class_of_one_gets_the_middle_value() -> None:
    x, y = noisy(0.5)(20, 1)
    assert choose_penalty(x[None], x, y, None, CPU)[0] != MIDDLE
    assert choose_penalty(x[None, :19], x[:19], y[:19], None, CPU)[0] == MIDDLE


def test_cross_validation_keeps_groups_whole_and_gives_a_class_within_one_of_them_the_middle_value() -> None:
    generator = np.random.default_rng(1)
    group = np.repeat(np.arange(24), 6)
    y = group % 2  # a little of which ten dimensions tell; the others tell groups apart, and what to memorize
    values = 2 * generator.normal(size=(24, 60))[group] + 0.3 * generator.normal(size=(144, 60))
    values[:, :10] = 0.3 * (2 * y - 1)[:, None] + generator.normal(size=(144, 10))
    x, groups = values.astype(np.float32), group.astype(np.str_)
    parted, whole = (choose_penalty(x[None], x, y, None, CPU, given)[0] for given in (None, groups))
    assert whole < parted
    assert whole != MIDDLE
    assert choose_penalty(x[None], x, np.where(group == 3, 2, y), None, CPU, groups)[0] == MIDDLE


def test_a_hold_out_decides_even_for_a_class_of_one() -> None:
    x, y = noisy(0.2)(19, 1)
    hold_out = noisy(0.2)(2000, 2)
    found, _ = choose_penalty(x[None], x, y, hold_out, CPU)
    assert found == expected(by_scikit_learn((x, y), hold_out), hold_out[1]) != MIDDLE


@pytest.mark.parametrize("hold_out", [True, False])
def test_the_choice_is_the_same_each_time(hold_out: bool) -> None:
    x, y = pixels(0, 100)
    choices = {choose_penalty(x[None], x, y, pixels(100, 200) if hold_out else None, CPU)[0] for _ in range(2)}
    assert len(choices) == 1


def test_images_of_classes_that_were_not_learned_judge_nothing() -> None:
    train, (x, y) = noisy(0.2)(400, 1), noisy(0.2)(500, 2)
    learned, known = (train[0][train[1] < 5], train[1][train[1] < 5]), y < 5
    given = learned[0][None], *learned
    assert choose_penalty(*given, (x, y), CPU)[0] == choose_penalty(*given, (x[known], y[known]), CPU)[0]
    by_none = choose_penalty(*given, (x[~known], y[~known]), CPU)[0]
    assert by_none == choose_penalty(*given, None, CPU)[0]


def test_of_many_images_cross_validation_judges_some_of_each_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = pixels(0, 303)
    judged: list[int] = []
    logits = LinearProbe.logits
    monkeypatch.setattr(penalty, "_MOST_JUDGED", 100)

    def counted(probe: LinearProbe, features: Array, classes: Labels) -> Array:
        judged.append(len(features))
        return logits(probe, features, classes)

    monkeypatch.setattr(LinearProbe, "logits", counted)
    choose_penalty(x[None], x, y, None, CPU)
    assert len(judged) == 5 * len(PENALTIES) and max(judged) <= 16
