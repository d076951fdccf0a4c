"""The summary begins with what the encoder is worth, as far as it was measured."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from simclr_steps.data.correct import Correct
from simclr_steps.summary.answer import answers, labels_for
from simclr_steps.summary.collected import COLUMNS
from simclr_steps.summary.headline import group
from simclr_steps.summary.reading import read_run
from simclr_steps.summary.run_results import RunResults
from tests.unit.summary.written_results import settings, write_finetune, write_run


def answered(run: RunResults) -> list[str]:
    table = pd.DataFrame(run.rows, columns=[*COLUMNS, "series", "by_group"])
    [answer] = answers(group(table), [run])
    return answer.sentences


def a_run(folder: Path, *, tuned: bool = False, **right: dict[str, int]) -> RunResults:
    """Return a run in which each input is right about the given number of 100 images with each budget of labels."""
    written = write_run(folder, 0)
    if tuned:
        write_finetune(written, "tuned", "pretrained", 0.8)
        write_finetune(written, "scratch", "random", 0.7)
    [run] = [read_run(one, folder) for one in settings(0, finetunes=("tuned", "scratch") if tuned else ()).runs]
    run.rows = [row for row in run.rows if row["stage"] != "linear"]
    for name, of_budgets in right.items():
        run.correct[name] = Correct({(key, 0): np.arange(100) < count for key, count in of_budgets.items()}, None)
        for labels, count in of_budgets.items():
            keys: dict[str, Any] = {"series": name, "input": name, "labels": int(labels), "draw": 0, "split": "test"}
            run.add("linear", "accuracy", count / 100, images=100, **keys)
    return run


def test_the_labels_that_another_input_needs_are_read_between_measured_numbers(tmp_path: Path) -> None:
    pixels, ours = {"10": 50, "40": 70, "160": 90}, {"10": 60, "40": 80, "160": 95}
    first, *_, last = answered(a_run(tmp_path, simclr=ours, pixels=pixels))
    assert re.fullmatch(
        r"With 40 labels, SimCLR features reach an accuracy of 80.0 % \(71.1 to 86.7\) on the test split; "
        r"raw pixels need about 80 labels for that \(5\d to 1[0-2]\d\): 2 times as many\.",
        first,
    ), first
    assert last == "With 160 labels, the most tried, SimCLR features reach 95.0 % (88.8 to 97.8)."


def test_nothing_is_said_of_labels_beyond_the_measured_ones(tmp_path: Path) -> None:
    first, *_ = answered(a_run(tmp_path, simclr={"10": 90, "40": 95}, pixels={"10": 50, "40": 70}))
    assert first.endswith("raw pixels have 50.0 % and do not reach that with up to 40 labels, the most tried.")
    first, *_ = answered(a_run(tmp_path, simclr={"10": 60, "40": 95}, pixels={"10": 50, "40": 61}))
    assert re.search(r"need about 35 labels for that \(\d\d to more than 40\)", first), first


def test_fewer_labels_are_never_enough_where_fewer_did_better_by_chance(tmp_path: Path) -> None:
    first, *_ = answered(a_run(tmp_path, simclr={"10": 70, "50": 75, "90": 80}, pixels={"10": 80, "50": 55, "90": 78}))
    assert re.search(r"need about \d\d labels for that \(.*\): 1\.\d times as many", first), first


def test_what_is_not_clearly_better_has_no_factor(tmp_path: Path) -> None:
    found = answered(a_run(tmp_path, simclr={"20": 71}, pixels={"20": 81}, random={"20": 70}))
    assert "need" not in found[0]
    assert re.fullmatch(r"SimCLR features are 10.0 points worse than raw pixels \(5.0 to 16.0\)\.", found[1]), found
    assert found[2].startswith("SimCLR features are no better than random features, +1.0 points (")


def test_a_fine_tuning_stands_beside_the_same_from_scratch(tmp_path: Path) -> None:
    run = a_run(tmp_path, tuned=True)
    for name, right in (("tuned", 80), ("scratch", 50)):
        run.tuned[name] = Correct({("10", 0): np.arange(100) < right}, None)
    found = answered(run)
    beside = (
        r'Fine-tuned on 10 labels, the network reaches 80.0 % \(.*\): 30.0 points better than "from scratch" \(2.*\)\.'
    )
    assert re.fullmatch(beside, found[0]), found


@pytest.mark.parametrize(
    ("right", "said"),
    [
        (85, "5.0 points worse than frozen SimCLR features"),
        (81, None),
        (79, None),
    ],
)
def test_a_fine_tuning_below_the_frozen_features_comes_with_advice(
    tmp_path: Path, right: int, said: str | None
) -> None:
    run = a_run(tmp_path, tuned=True, simclr={"10": right})
    run.tuned["tuned"] = Correct({("10", 0): np.arange(100) < 80}, None)
    found = [sentence for sentence in answered(run) if sentence.startswith("Fine-tuning gains nothing here: ")]
    if said is None:
        assert not found
    else:
        assert len(found) == 1 and said in found[0] and "freeze: true" in found[0], found


def test_without_labels_it_speaks_of_features_and_neighbors(tmp_path: Path) -> None:
    write_run(tmp_path, 0, labeled=False)
    [run] = [read_run(one, tmp_path) for one in settings(0).runs]
    run.explored_in_words = "9 images in 3 clusters; 1 pair of near-duplicates."
    features, neighbors, clusters, accuracy = answered(run)
    assert features == (
        "Features: they use 30.0 directions at the end of the training (effective rank), and 20.0 when first measured."
    )
    assert "trustworthiness 0.90" in neighbors
    assert clusters == "Clusters: 9 images in 3 clusters; 1 pair of near-duplicates."
    assert accuracy.startswith("Accuracy was not measured")


@pytest.mark.parametrize(("target", "needed"), [(0.5, 10), (0.4, 10), (0.6, 20), (0.7, 40), (0.71, None)])
def test_labels_are_interpolated_by_their_logarithm(target: float, needed: float | None) -> None:
    found = labels_for(target, [10, 40], [0.5, 0.7])
    assert found is needed is None or math.isclose(found or 0, needed or 0)


def test_features_before_a_training_from_given_weights_are_told_beside_those_after(tmp_path: Path) -> None:
    told = answered(a_run(tmp_path, simclr={"20": 71}, start={"20": 90}))
    assert any("worse than features before training (" in sentence for sentence in told), told


def test_a_network_off_the_shelf_that_reads_larger_images_is_no_equal(tmp_path: Path) -> None:
    run = a_run(tmp_path, simclr={"20": 71}, published={"20": 90})
    run.read_at = {"simclr": (64, 64), "published": (224, 224)}
    told = [sentence for sentence in answered(run) if "worse than published" in sentence]
    assert len(told) == 1 and told[0].endswith("; published reads images at 224 × 224 pixels, SimCLR at 64 × 64.")
