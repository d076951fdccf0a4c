"""The accuracy per image stands beside that per tile, where the tiles of each image share a label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from simclr_steps.steps.summarize import summarize
from simclr_steps.summary.intervals import ByGroup, interval
from simclr_steps.summary.parents import of_parents
from tests.unit.conftest import WritePacked
from tests.unit.summary.written_results import settings, write_finetune, write_run


def predictions(*images: tuple[str, int, list[float]], group: str | None = None) -> pd.DataFrame:
    """Return the rows of images, each with its label and the probability of class 1 for each of its tiles."""
    rows: list[dict[str, Any]] = []
    for parent, label, chances in images:
        for place, chance in enumerate(chances):
            row = {"label": label, "parent": parent, "x": str(place), "y": "0", "width": "8", "height": "8"}
            row |= {"prediction": int(chance > 0.5), "probability_a": 1 - chance, "probability_b": chance}
            rows.append({**row, **({"group": group + parent[0]} if group else {"group": parent})})
    return pd.DataFrame(rows).astype({"label": "Int64"})


def test_the_class_of_an_image_is_that_of_the_largest_mean_probability() -> None:
    sure = predictions(
        ("a", 1, [0.4, 0.4, 0.9]), ("b", 0, [0.6, 0.6, 0.1]), ("c", 0, [0.9, 0.9]), ("d", 1, [0.1, 0.8, 0.8])
    )
    found = of_parents(sure)
    assert found is not None and (found.count, found.by_group) == (4, None)
    assert found.accuracy == 3 / 4  # where four of eleven tiles are right by themselves


def test_images_of_one_group_are_not_independent() -> None:
    images = [(f"{name}{number}", 0, [0.1, name / 9]) for name in range(6) for number in range(2)]
    found = of_parents(predictions(*images, group="g"))
    assert found is not None and isinstance(found.by_group, ByGroup)
    assert found.by_group.images.tolist() == [2] * 6 and found.count == 12


@pytest.mark.parametrize(
    "table",
    [
        predictions(("a", 1, [0.4, 0.4])).drop(columns="parent"),
        predictions(("a", 1, [0.4]), ("b", 0, [0.4])),
        pd.concat([predictions(("a", 1, [0.4])), predictions(("a", 0, [0.4, 0.3]))]),
        predictions(("a", 1, [0.4, 0.4])).assign(label=pd.Series([None, None], dtype="Int64")),
    ],
)
def test_there_is_none_without_images_of_several_tiles_with_one_label(table: pd.DataFrame) -> None:
    assert of_parents(table) is None


def test_it_stands_beside_the_accuracy_per_tile_in_all_summaries(tmp_path: Path, write_packed: WritePacked) -> None:
    folder = write_run(tmp_path / "results", 0)
    write_finetune(folder, "tuned", "pretrained", 0.6)
    path = folder / "finetune" / "tuned" / "predictions.parquet"
    table = pd.read_parquet(path).sort_values("label", kind="stable")  # six tiles of each digit; all are taken for 3
    parents = np.repeat(np.arange(30), 2).astype(str)
    place = dict.fromkeys(["x", "y", "width", "height"], "0")
    table.assign(parent=parents, group=parents, **place).to_parquet(path)
    resources = write_packed(name="digits").parent
    of_runs = settings(0, finetunes=("tuned",))
    summarize(of_runs, results=tmp_path / "results", resources=resources, out=tmp_path / "out")
    rows = pd.read_csv(tmp_path / "out/summary.csv")
    [row] = rows[rows["metric"] == "parent_accuracy"].to_dict("records")
    assert (row["value"], row["images"], row["split"], row["input"]) == (0.1, 30, "test", "tuned")
    assert (row["low"], row["high"]) == interval(0.1, 30)
    sentence = "Fine-tuned tuned, accuracy on the test split in %: 10.0 [3.5, 25.6] per image, by the mean probability"
    for page in ("summary.md", "summary.html"):
        assert sentence in (tmp_path / "out" / page).read_text()
        assert (
            "the tiles of each of 30 images, and 60.0 [46.2, 72.4] per tile." in (tmp_path / "out" / page).read_text()
        )
    assert "<th>accuracy per image</th>" in (tmp_path / "out/summary.html").read_text()
