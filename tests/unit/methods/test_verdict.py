"""A training that collapsed or did not learn is told, a good one is not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simclr_steps.files import read_json
from simclr_steps.methods.verdict import CollapseWarning, verdict
from simclr_steps.settings.pretrain import FittedPretrain
from simclr_steps.training.history import History
from tests.unit.conftest import digits
from tests.unit.pretraining import OWN, SMALL, train

SETTINGS = FittedPretrain(epochs=10, global_batch_size=64)  # ln 127 = 4.844
GIVEN = FittedPretrain(epochs=10, global_batch_size=64, init="weights.pth")
GOOD = {"loss": 3.5, "validate_rankme": 40.0, "validate_uniformity": -2.5, "validate_knn_accuracy": 0.8}
START = {"loss": None, "validate_rankme": 11.0, "validate_uniformity": -0.05, "validate_knn_accuracy": 0.4}
COLLAPSING = r"warning: after epoch ([1-9]|1[01]) of 12, the encoder has collapsed: effective rank 1\.\d"
SIZES = {"features": 512, "images": 200, "labeled": 100}


@pytest.mark.parametrize(
    ("base", "changes", "expected"),
    [
        (OWN, {"learning_rate": 0.5, "epochs": 12}, "collapsed: effective rank 1."),
        (OWN, {"learning_rate": 1e-12, "epochs": 2}, "did not learn: the final loss, 4.3"),
        (SMALL, {"learning_rate": 1e-12, "epochs": 2}, "did not learn: the final loss, 4.5"),
        (SMALL, {"temperature": 1e-3}, "did not learn: the final loss, "),
        (OWN, {"learning_rate": 3e-3, "epochs": 12}, None),
        (SMALL, {"learning_rate": 3e-3, "epochs": 8}, None),
    ],
    ids=["rate too high", "no rate", "no rate, batch norm", "absurd temperature", "good", "good, batch norm"],
)
def test_real_trainings_are_judged_in_record_and_log(
    base: FittedPretrain,
    changes: dict[str, Any],
    expected: str | None,
    tmp_path: Path,
    data: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    found = read_json(train(tmp_path / "out", data, base.model_copy(update=changes)) / "run.json")["verdict"]
    meanwhile = [line for line in caplog.messages if line.startswith("warning: after epoch")]
    assert len(meanwhile) == (expected is not None and expected.startswith("collapsed"))
    assert all(re.fullmatch(rf"{COLLAPSING} of \d+", line) for line in meanwhile), meanwhile
    if expected is None:
        assert found is None and "warning" not in caplog.text
    else:
        assert found.startswith(expected) and f"warning: {found}" in caplog.text


def test_images_that_are_all_alike_are_told_meanwhile_and_at_the_end(
    tmp_path: Path, write_packed: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    """Their effective rank is 1 before the first step, too."""
    alike = {"train": np.full_like(digits(80)[0], 7), "validation": np.full_like(digits(20)[0], 7)}
    labels = {"train": digits(80)[1], "validation": digits(20)[1]}
    packed = write_packed({split: (images, labels[split]) for split, images in alike.items()})
    folder = train(tmp_path / "out", packed, OWN.model_copy(update={"epochs": 12}))
    assert read_json(folder / "run.json")["verdict"].startswith("collapsed: effective rank 1.0 of 16: ")
    (line,) = [line for line in caplog.messages if line.startswith("warning: after epoch")]
    told = (
        r"has collapsed: effective rank 1\.0 of 16, as before the first step, and the loss, 4\.3\d\d, .* of chance, ln"
    )
    assert re.search(f"epoch ([6-9]|1[01]) of 12, the encoder {told} 79 = 4.369$", line)


@pytest.mark.parametrize(
    ("start", "rows", "expected"),
    [
        (11.0, [(4, 4.84, 1.5), (6, 4.84, 1.2)], [4]),
        (1.5, [(4, 4.84, 1.5), (5, 4.84, 1.5), (6, 4.84, 1.5)], [5]),
        (1.5, [(5, 4.7, 1.5), (6, 4.6, 1.5)], []),
        (1.5, [(5, 4.84, 2.5), (6, 4.84, None)], []),
        (1.5, [(10, 4.84, 1.5)], []),
    ],
    ids=["at once", "low from the start", "that learns", "that rises", "the last epoch, which the verdict tells"],
)
def test_a_collapse_is_told_once_while_it_trains(
    start: float, rows: list[tuple[int, float, float | None]], expected: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    nothing: Any = None  # what the warning needs of trainer and module
    history = History(nothing)
    history.rows = [{**START, "epoch": 0, "validate_rankme": start}]
    warning = CollapseWarning(history, SETTINGS, possible=512)
    for epoch, loss, rank in rows:
        history.rows.append({"epoch": epoch, "loss": loss, "validate_rankme": rank})
        warning.on_train_epoch_end(nothing, nothing)
    assert [int(line.split()[3]) for line in caplog.messages if "the encoder has collapsed" in line] == expected


@pytest.mark.parametrize(
    ("loss", "rank", "expected"),
    [
        (4.15, 20.0, None),
        (4.843, 20.0, "did not learn: the final loss, 4.843, is hardly lower than that of chance, ln 127 = 4.844"),
        (4.8441, 20.0, "did not learn: the final loss, 4.844, equals that of chance, ln 127 = 4.844: lower the"),
        (4.8443, 20.0, "did not learn: the final loss, 4.844, equals that of chance, ln 127 = 4.844: lower the"),
        (4.9, 20.0, "did not learn: the final loss, 4.900, is no lower than that of chance, ln 127 = 4.844"),
        (
            4.15,
            1.96,
            "collapsed: effective rank 2.0 of 200: lower the learning rate, check the temperature, or train longer",
        ),
        (4.843, 1.0, "collapsed: effective rank 1.0 of 200"),
    ],
)
def test_loss_at_chance_and_effective_rank_are_told(loss: float, rank: float, expected: str | None) -> None:
    found = verdict(SETTINGS, [START, {**GOOD, "loss": loss, "validate_rankme": rank}], **SIZES)
    assert found is None if expected is None else str(found).startswith(expected)


def test_what_a_loss_can_gain_depends_on_temperature_and_views() -> None:
    """At a high temperature the best loss is near chance, and 4.82 is far on the way to it."""
    hot, many = SETTINGS.model_copy(update={"temperature": 20.0}), SETTINGS.model_copy(update={"views": 4})
    assert verdict(SETTINGS, [START, {**GOOD, "loss": 4.83}], **SIZES)
    assert verdict(hot, [START, {**GOOD, "loss": 4.83}], **SIZES) is None
    assert "ln 255 = 5.541" in str(verdict(many, [START, {**GOOD, "loss": 5.541}], **SIZES))


def test_projections_that_became_alike_are_a_collapse_and_those_that_were_so_are_not() -> None:
    end = {**GOOD, "loss": 4.84, "validate_uniformity": -0.004}
    found = str(verdict(SETTINGS, [START, end], **SIZES))
    assert found.startswith("collapsed: all images have the same projection (uniformity -0.004), and the final loss,")
    assert str(verdict(SETTINGS, [{**START, "validate_uniformity": -0.003}, end], **SIZES)).startswith("did not learn")
    assert verdict(SETTINGS, [START, {**end, "loss": 4.0}], **SIZES) is None, "a low loss tells them from each other"


def test_a_low_rank_of_few_images_or_features_is_no_collapse() -> None:
    low: list[dict[str, Any]] = [START, {**GOOD, "validate_rankme": 1.9}]
    for size in ("features", "images"):
        assert verdict(SETTINGS, low, **{**SIZES, size: 9}) is None
        assert "of 10:" in str(verdict(SETTINGS, low, **{**SIZES, size: 10}))


@pytest.mark.parametrize(
    ("before", "after", "loss", "expected"),
    [
        (
            0.4,
            0.4,
            4.7,
            "did not learn: kNN on the 100 labeled images of the hold-out is not clearly better than with ",
        ),
        (0.4, 0.44, 4.7, "did not learn: kNN on the 100 labeled images of the hold-out is not clearly better"),
        (0.0, 0.0, 4.7, "did not learn: kNN on the 100 labeled images of the hold-out is not clearly better"),
        (0.4, 0.46, 4.7, None),
        (0.94, 0.95, 3.5, None),
        (0.95, 0.94, 3.5, None),
        (0.4, 0.2, 3.5, "training made the features worse than random ones: kNN accuracy on the hold-out was 40.0 % "),
        (None, 0.4, 4.7, None),
        (0.4, None, 4.7, None),
    ],
)
def test_knn_beside_random_weights_is_judged(
    before: float | None, after: float | None, loss: float, expected: str | None
) -> None:
    """Where the loss has gained much, the network learned, and equal kNN accuracies may be those of easy images."""
    end = {**GOOD, "validate_knn_accuracy": after, "loss": loss}
    found = verdict(SETTINGS, [{**START, "validate_knn_accuracy": before}, end], **SIZES)
    assert found is None if expected is None else str(found).startswith(expected)


def test_features_that_are_no_better_than_those_of_given_weights_are_told() -> None:
    def said(before: float | None, after: float | None) -> str | None:
        rows = [{**START, "validate_knn_accuracy": before}, {**GOOD, "validate_knn_accuracy": after}]
        return verdict(GIVEN, rows, **SIZES)

    sentence = str(said(0.81, 0.7))
    assert sentence.startswith("training made the features worse than the given weights': the hold-out's kNN accuracy")
    assert "was 81.0 % before the first step and is 70.0 % after the last: lower backbone_learning_rate" in sentence
    for after in (0.8, 0.79999):
        assert str(said(0.8, after)).startswith("training made the features no better than the given weights'")
    assert said(0.7, 0.81) is said(None, None) is said(0.8, None) is None


def test_features_that_a_continued_training_made_no_better_are_told() -> None:
    settings = SETTINGS.model_copy(update={"parent": SETTINGS})
    rows: list[dict[str, Any]] = [{**START, "validate_knn_accuracy": 0.8}, {**GOOD, "validate_knn_accuracy": 0.79}]
    found = str(verdict(settings, rows, **SIZES))
    assert found.startswith("training made the features worse than those of the pretraining that it continues")


def test_without_monitors_the_loss_alone_is_judged() -> None:
    unmonitored = dict.fromkeys(("validate_rankme", "validate_uniformity", "validate_knn_accuracy"))
    assert verdict(SETTINGS, [unmonitored, {**unmonitored, "loss": 3.0}], features=512, images=0, labeled=0) is None
    assert verdict(SETTINGS, [unmonitored, {**unmonitored, "loss": 4.9}], features=512, images=0, labeled=0)
