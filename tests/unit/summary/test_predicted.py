"""The page tells how many images of each class are predicted, and shows the least certain ones by their whole names."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from simclr_steps.data.packed import read_description
from simclr_steps.settings.runs import SummarySettings, judged_by
from simclr_steps.steps.summarize import summarize
from simclr_steps.summary.predicted import MOST, Predicted, as_html, predicted
from tests.unit.conftest import WritePacked, digits
from tests.unit.summary.written_results import settings, write_finetune, write_run

CLASSES = ["<cat>", "dog", "none of these"]


def table(count: int, labels: pd.Series[Any] | None = None) -> pd.DataFrame:
    """Return predictions of which row 0 is the surest, and whose sources are long and hostile."""
    sure = np.linspace(0.9, 0.5, count)
    rest = (1 - sure) / 2
    guess = np.arange(count) % 2
    chances = np.stack([np.where(guess == 0, sure, rest), np.where(guess == 1, sure, rest), rest], axis=1)
    known = {
        "row": np.arange(count),
        "source": [f"{'deep/' * 12}<b>{row}.png" for row in range(count)],
        "label": pd.Series([None] * count if labels is None else labels, dtype="Int64"),
        "predicted_class": [CLASSES[number] for number in guess],
    }
    return pd.DataFrame({**known, **{f"probability_{name}": chances[:, k] for k, name in enumerate(CLASSES)}})


def told(folder: Path, predictions: pd.DataFrame) -> Predicted:
    """Return what is told of predictions of the test split, of which there are no images."""
    place = write_run(folder, 0) / "finetune" / "tuned"
    place.mkdir(parents=True)
    predictions.to_parquet(place / "predictions.parquet", row_group_size=16)
    asked = settings(0, finetunes=("tuned",)).model_copy(update={"predicted": ["test"]})
    (one,) = predicted(asked, folder, folder / "resources", {})
    return one


def test_images_of_each_class_are_counted_also_where_there_are_none(tmp_path: Path) -> None:
    header, *rows = told(tmp_path, table(4)).counts
    assert header == ["predicted class", "images", "% of the split", "mean probability in %"]
    expected = [["<cat>", "2", "50.0", "76.7"], ["dog", "2", "50.0", "63.3"], ["none of these", "0", "0.0", ""]]
    assert rows == expected


def test_of_many_classes_the_most_frequent_are_listed_and_the_rest_summed(tmp_path: Path) -> None:
    names = [f"class {number}" for number in range(30)]
    guess = [*range(30), 29, 29, 28]
    chances = np.full((33, 30), 0.01)
    chances[np.arange(33), guess] = 0.7
    many = pd.DataFrame({"row": np.arange(33), "predicted_class": [names[number] for number in guess]})
    rows = told(tmp_path, many.assign(**{f"probability_{name}": chances[:, k] for k, name in enumerate(names)})).counts
    assert [row[:2] for row in rows[1:4]] == [["class 29", "3"], ["class 28", "2"], ["class 0", "1"]]
    assert rows[-1] == ["10 further classes", "10", "30.3", ""] and len(rows) == 22


def test_the_least_certain_come_first_also_where_probabilities_round_to_one(tmp_path: Path) -> None:
    rows = table(40)
    others = (10 ** np.linspace(-36, -8, 40)).astype(np.float32)
    rounded = rows.assign(**{"probability_<cat>": np.ones(40, np.float32), "probability_dog": others})
    for folder, predictions in ((tmp_path / "told apart", rows), (tmp_path / "all 1", rounded)):
        predictions["probability_none of these"] = others
        names = told(folder, predictions).names
        assert [re.findall(r"<b>(\d+)", name) for name in names] == [[str(row)] for row in range(39, 39 - MOST, -1)]


def test_a_section_for_each_split_that_was_predicted_with_pictures_and_whole_names(
    write_packed: WritePacked, tmp_path: Path
) -> None:
    images, _ = digits(40)
    labels = np.where(np.arange(40) < 30, 1, -1)
    data = write_packed({"train": (images, labels)}, name="digits", classes=CLASSES)
    folder = write_run(tmp_path, 0) / "finetune" / "tuned"
    folder.mkdir(parents=True)
    asked = settings(0, finetunes=("tuned",)).model_copy(update={"predicted": ["test", "train", "unlabeled"]})
    whole = table(40, pd.Series(labels, dtype="Int64").mask(labels < 0))
    whole.to_parquet(folder / "train.predictions.parquet")
    whole[labels < 0].to_parquet(folder / "unlabeled.predictions.parquet")
    found = list(predicted(asked, tmp_path, data.parent, {"digits": read_description(data)}))
    assert [one.title.partition(": ")[2] for one in found] == ["train", "unlabeled"], "test has no predictions here"
    assert [sum(int(row[1]) for row in one.counts[1:]) for one in found] == [30, 10]
    assert found[1].names[0] == f"dog, 50 %\n{'deep/' * 12}<b>39.png"
    shown = Image.open(io.BytesIO(base64.b64decode(found[1].pictures[0].partition(",")[2]))).convert("L")
    np.testing.assert_array_equal(np.asarray(shown), images[39, ..., 0])
    html = as_html(found)
    assert f"{'deep/' * 12}&lt;b&gt;39.png" in html and "<b>" not in html and "&lt;cat&gt;" in html
    assert len(re.findall("<img ", html)) == MOST + 10
    (data / "train.images.npy").unlink()
    without = as_html(list(predicted(asked, tmp_path, data.parent, {"digits": read_description(data)})))
    assert "<img " not in without and "39.png" in without


def test_the_page_has_the_section_only_where_there_are_predictions(write_packed: WritePacked, tmp_path: Path) -> None:
    resources = write_packed(name="digits").parent
    folder = write_run(tmp_path, 0)
    summarize(settings(0), results=tmp_path, resources=resources, out=tmp_path)
    assert "Predicted classes" not in (tmp_path / "summary.html").read_text()
    write_finetune(folder, "tuned", "pretrained", 0.8)
    summarize(settings(0, finetunes=("tuned",)), results=tmp_path, resources=resources, out=tmp_path)
    page = (tmp_path / "summary.html").read_text()
    assert "Predicted classes" in page and "digits, simclr, tuned, seed 0: test" in page


def test_of_what_a_run_of_a_grid_shares_with_its_winner_nothing_is_told_on_its_page(tmp_path: Path) -> None:
    place = tmp_path / "digits/compare/random-seed0/finetune/tuned"
    place.mkdir(parents=True)
    table(4).to_parquet(place / "predictions.parquet")
    table(4).to_parquet(place / "validation.predictions.parquet")  # of before the winner was asked for
    (winner,) = settings(0, finetunes=("tuned",)).runs
    shared = winner.model_copy(update={"starts": {"tuned": "random-seed0"}})
    of_grid = shared.model_copy(update={"pretrain": "simclr-t=0.1", "judged_by": "validation"})
    runs = [run.knowing(judged_by([of_grid, shared])) for run in (of_grid, shared)]
    both = SummarySettings(runs=runs)
    (one,) = predicted(both, tmp_path, tmp_path / "resources", {})
    assert one.title == "digits, simclr, tuned, seed 0: test"
    assert not list(predicted(both.of_one(runs[0]), tmp_path, tmp_path / "resources", {}))
