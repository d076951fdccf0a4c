"""Balanced accuracies are in summary.csv, and on the page where they tell more than accuracies."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simclr_steps.data.packed import Description, SplitCounts, read_description
from simclr_steps.steps.summarize import summarize
from simclr_steps.summary.balance import uncluttered
from simclr_steps.summary.collected import COLUMNS
from simclr_steps.summary.intervals import ByGroup, interval
from simclr_steps.summary.parents import METRICS
from simclr_steps.summary.reading import read_run
from tests.unit.conftest import WritePacked, digits
from tests.unit.summary.written_results import settings, write_finetune, write_run

OF_CLASSES = {"balanced_accuracy": 0.65, "effective_images": 20}


def add_balanced(folder: Path) -> None:
    """Add balanced accuracies to the results of a run, all the same."""
    knn, linear = (folder / "evaluate" / f"{name}.json" for name in ("knn", "linear"))
    content = json.loads(knn.read_text())
    content["test"] |= {**OF_CLASSES, "balanced_weighted_accuracy": 0.6}
    knn.write_text(json.dumps(content))
    content = json.loads(linear.read_text())
    content |= {"probe": {"test": 0.9}, "probe_C": 1.0, "probe_balanced": {"test": OF_CLASSES}}
    content["results"] = [{**row, **OF_CLASSES} for row in content["results"]]
    linear.write_text(json.dumps(content))
    metrics = folder / "finetune" / "tuned" / "metrics.json"
    content = json.loads(metrics.read_text())
    content["draws"][0]["test"] |= OF_CLASSES
    metrics.write_text(json.dumps(content))


def test_the_table_has_them_with_intervals_and_the_page_where_classes_differ_in_size(
    tmp_path: Path, write_packed: WritePacked
) -> None:
    images, labels = digits(400)
    imbalanced = labels < 2 + 8 * (np.arange(400) < 200)
    splits = {"train": digits(60), "validation": digits(60), "test": (images[imbalanced], labels[imbalanced])}
    resources = write_packed(splits, name="digits").parent
    folder = write_run(tmp_path, 0)
    write_finetune(folder, "tuned", "pretrained", 0.85)
    add_balanced(folder)
    summarize(settings(0, finetunes=("tuned",)), results=tmp_path, resources=resources, out=tmp_path)
    table = pd.read_csv(tmp_path / "summary.csv")
    balanced = table[table["metric"].str.startswith("balanced_")]
    assert set(zip(balanced["stage"], balanced["metric"], strict=True)) == {
        ("knn", "balanced_accuracy"),
        ("knn", "balanced_weighted_accuracy"),
        ("linear", "balanced_accuracy"),
        ("linear", "balanced_probe_accuracy"),
        ("finetune", "balanced_accuracy"),
    }
    assert (balanced["images"] == 20).all()
    of_knn = balanced[balanced["metric"] == "balanced_accuracy"].iloc[0]
    assert (of_knn["low"], of_knn["high"]) == pytest.approx(interval(0.65, 20))
    page, text = ((tmp_path / f"summary.{kind}").read_text() for kind in ("html", "md"))
    for cell in ("kNN, balanced", "weighted kNN, balanced", "linear probe, balanced", "balanced accuracy"):
        assert f">{cell}</t" in page
    for where in (page, text):
        assert "Balanced accuracy, the mean over classes" in where and "65.0" in where


def described(data: Path, *per_class: int) -> Description:
    count = SplitCounts(images=sum(per_class), labeled=sum(per_class), per_class=per_class)
    description = read_description(data)
    return description.model_copy(update={"splits": {**description.splits, "test": count}})


@pytest.mark.parametrize(
    ("per_class", "balanced", "is_shown"),
    [([20, 30, 0], 0.9, False), ([20, 31, 0], 0.9, True), ([20, 30, 0], 0.87, True), ([20, 30, 0], 0.89, False)],
)
def test_they_are_left_out_where_they_would_repeat_the_accuracy(
    per_class: list[int], balanced: float, is_shown: bool, data: Path
) -> None:
    keys = {"dataset": "digits", "pretrain": "simclr", "stage": "knn", "input": "simclr", "split": "test"}
    for names in (("accuracy", "balanced_accuracy"), METRICS.values()):  # per tile, and per image
        values = {"accuracy": 0.9, **dict(zip(names, (0.9, balanced), strict=True))}
        table = pd.DataFrame([{**keys, "metric": metric, "value": value} for metric, value in values.items()])
        left = uncluttered(table, {"digits": described(data, *per_class)})
        assert list(left["metric"]) == list(values)[: len(values) - 1 + is_shown]


def test_with_groups_the_interval_is_a_bootstrap_of_their_weights(tmp_path: Path) -> None:
    folder = write_run(tmp_path, 0)
    file = folder / "evaluate" / "knn.json"
    content = json.loads(file.read_text())
    weights, right = [5.0, 10.0, 12.5, 7.5, 15.0], [5.0, 4.0, 10.0, 7.5, 6.0]
    of_groups = {"images": weights, "balanced_accuracy": right, "balanced_weighted_accuracy": right}
    content["test"] |= {**OF_CLASSES, "balanced_accuracy": 0.65, "balanced_by_group": of_groups}
    file.write_text(json.dumps(content))
    rows = pd.DataFrame(read_run(settings(0).runs[0], tmp_path).rows, columns=[*COLUMNS, "series", "by_group"])
    row = rows[(rows["stage"] == "knn") & (rows["metric"] == "balanced_accuracy")].iloc[0]
    assert (row["low"], row["high"]) == interval(0.65, 20, ByGroup(np.array(weights), np.array(right)))
    assert row["groups"] == 5
