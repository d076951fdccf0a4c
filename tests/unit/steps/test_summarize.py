from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from simclr_steps.figures import plots
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.plan import SummarySettings
from simclr_steps.steps.summarize import COLUMNS, summarize
from simclr_steps.summary import curves
from simclr_steps.summary.mistakes import MOST, draw_mistakes, surest_mistakes
from simclr_steps.summary.tables import comparison, worst_classes
from tests.unit.browser import needs_chromium, visit
from tests.unit.conftest import DIGITS, WritePacked, digits

RECORD = {
    "step": "s",
    "settings": {"split": "test"},
    "code_hash": "c0de",
    "data_hash": "da7a",
    "seconds": 83.0,
    "hardware": {"gpus": [], "processor": "<i>Chip</i>", "cores": 2},
    "versions": {"torch": "2.11.0"},
    "image": {"file": "simclr.sif", "sha256": "d1935t"},
}


@pytest.fixture
def resources(write_packed: WritePacked) -> Path:
    return write_packed(name="digits").parent


def put(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**content, "run": RECORD}))


def write_run(results: Path, seed: int, *, labeled: bool = True, pretrain: str = "simclr") -> Path:
    """Write the results of a run; its accuracies tell input, labels, draw and seed."""
    folder = results / "digits" / pretrain / f"seed{seed}"
    put(folder / "pretrain" / "run.json", {})
    history = {"epoch": [1, 2], "step": [5, 10], "loss": [5.0, 4.0], "validate_loss": [5.5, 4.5]}
    history |= {"validate_alignment": [0.5, 0.4], "validate_rankme": [20.0, 30.0]}
    rest = {"learning_rate": [0.1, 0.0], "images_per_second": [100.0, 200.0], "seconds": [60.0, 125.0]}
    pd.DataFrame(history | rest).to_csv(folder / "pretrain" / "history.csv", index=False)
    candidates = [{"file": "rank1.ckpt", "epoch": 2, "validate_loss": 4.5}]
    selection = {"chosen": "rank1.ckpt", "epoch": 2, "why": "least <b>loss</b>", "candidates": candidates}
    put(folder / "encoder" / "selection.json", selection)
    layer: dict[str, float | None] = {
        "knn_accuracy_plane": 0.7,
        "knn_accuracy_features": 0.8,
        "trustworthiness": 0.9,
        "silhouette": 0.3,
    }
    layer = {key: value if labeled or key == "trustworthiness" else None for key, value in layer.items()}
    quality = {name: {**layer, "note": None} for name in ("backbone", "projection_head")}
    put(folder / "umap" / "quality.json", {**quality, "neighbors": 10})
    Image.new("RGB", (8, 8)).save(folder / "umap" / "backbone.png")
    (folder / "umap" / "backbone.html").touch()
    if not labeled:
        put(folder / "evaluate" / "knn.json", {"neighbors": 10, "note": "No accuracy."})
        put(folder / "evaluate" / "linear.json", {"results": [], "note": "No accuracy."})
        return folder
    voted = {"accuracy": 0.9, "weighted_accuracy": 0.8, "images": 50}
    put(folder / "evaluate" / "knn.json", {"neighbors": 10, "test": voted, "note": None})
    linear = [
        {"input": name, "labels": labels, "fraction": 0.1, "draw": draw, "split": split, "accuracy": accuracy}
        for name, base in (("simclr", 0.8), ("random", 0.5), ("pixels", 0.6))
        for labels, draws in ((10, 2), (100, 1))
        for draw in range(draws)
        for split, accuracy in (("test", base + 0.02 * draw + 0.01 * seed), ("validation", 0.1))
    ]
    put(folder / "evaluate" / "linear.json", {"results": linear, "note": None})
    return folder


def write_finetune(folder: Path, name: str, init: str, accuracy: float) -> None:
    test: dict[str, Any] = {
        "images": 50,
        "accuracy": accuracy,
        "macro_f1": 0.5,
        "auroc": None,
        "confusion_matrix": [[1]],
    }
    test["per_class"] = [{"class": f"<{label}>", "images": 5, "f1": label / 10} for label in range(1, 9)]
    draws = [{"draw": 0, "label_count": 10, "validation": None, "test": test}]
    content = {"labels": 10, "label_count": 10, "init": init, "freeze": False, "classes": ["a"], "draws": draws}
    put(folder / "finetune" / name / "metrics.json", content)
    epochs = {"draw": [0, 0], "epoch": [1, 2], "accuracy": [0.3, 0.4], "validate_accuracy": [0.2, 0.25]}
    pd.DataFrame(epochs).to_csv(folder / "finetune" / name / "history.csv", index=False)
    label = pd.Series([*range(10)] * 6, dtype="Int64")
    chances = np.full((60, 10), 0.05)
    chances[np.arange(60), 3] = np.linspace(0.3, 0.9, 60)
    predictions = {"row": range(60), "label": label, "class": [DIGITS[number] for number in label], "prediction": 3}
    named = {f"probability_{digit}": chances[:, number] for number, digit in enumerate(DIGITS)}
    table = pd.DataFrame({**predictions, "predicted_class": "three", **named})
    table.to_parquet(folder / "finetune" / name / "predictions.parquet", index=False)


def settings(*seeds: int, finetunes: tuple[str, ...] = (), pretrain: str = "simclr") -> SummarySettings:
    runs = [{"dataset": "digits", "pretrain": pretrain, "seed": seed, "finetunes": list(finetunes)} for seed in seeds]
    return SummarySettings.model_validate({"runs": runs})


def test_the_table_is_tidy_and_the_headline_is_mean_and_sample_deviation(tmp_path: Path, resources: Path) -> None:
    for seed in (0, 1):
        folder = write_run(tmp_path, seed)
        write_finetune(folder, "tuned", "pretrained", 0.85)
        write_finetune(folder, "scratch", "random", 0.4)
    summarize(settings(0, 1, finetunes=("tuned", "scratch")), results=tmp_path, resources=resources, out=tmp_path)
    table = pd.read_csv(tmp_path / "summary.csv")
    assert list(table) == COLUMNS
    keys = [column for column in COLUMNS if column != "value"]
    assert not table.duplicated(keys).any()
    here = table.query("stage == 'linear' and input == 'simclr' and labels == 10 and split == 'test'")["value"]
    assert sorted(here) == pytest.approx([0.80, 0.81, 0.82, 0.83])
    assert set(table["stage"]) == {"pretrain", "select", "knn", "linear", "finetune", "umap"}
    assert set(table.query("stage == 'finetune'")["metric"]) == {"accuracy", "macro_f1"}

    text = (tmp_path / "summary.md").read_text()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "|" in line]
    lines = {row[0]: row[1:] for row in rows}
    columns = dict(zip(lines["labels"], lines["10"], strict=True))
    assert columns["SimCLR features"] == f"81.5 ± {100 * np.std([0.80, 0.81, 0.82, 0.83], ddof=1):.1f}"
    assert columns["fine-tuned"] == "85.0 ± 0.0"
    assert columns["from scratch"] == "40.0 ± 0.0"
    assert lines["100"][lines["labels"].index("from scratch")] == ""
    assert "90.0 ± 0.0 %, mean of 2 seeds" in text
    assert "2 epochs in 2 min 05 s" in text


def test_a_single_value_has_no_deviation(tmp_path: Path, resources: Path) -> None:
    write_run(tmp_path, 0)
    summarize(settings(0), results=tmp_path, resources=resources, out=tmp_path)
    line = next(line for line in (tmp_path / "summary.md").read_text().splitlines() if line.startswith("|    100"))
    assert "80.0" in line
    assert "±" not in line


def test_finetunings_that_differ_in_more_than_labels_are_told_apart(tmp_path: Path, resources: Path) -> None:
    folder = write_run(tmp_path, 0)
    write_finetune(folder, "slow", "pretrained", 0.7)
    write_finetune(folder, "fast", "pretrained", 0.9)
    summarize(settings(0, finetunes=("slow", "fast")), results=tmp_path, resources=resources, out=tmp_path)
    text = (tmp_path / "summary.md").read_text()
    assert "fine-tuned (slow)" in text
    assert "fine-tuned (fast)" in text
    assert re.search(r"\|\s+10 \|\s+81.0 ± 1.4 \|\s+90.0 \|\s+70.0 \|", text), text


def test_the_page_needs_nothing_but_itself_and_shows_text_as_text(tmp_path: Path, resources: Path) -> None:
    write_run(tmp_path, 0)
    summarize(settings(0), results=tmp_path, resources=resources, out=tmp_path)
    page = (tmp_path / "summary.html").read_text()
    assert all(link.startswith("data:") for link in re.findall(r'(?:src|<link[^>]*href)="([^"]*)"', page))
    assert re.findall(r'<a href="([^"]*)"', page) == ["digits/simclr/seed0/umap/backbone.html"]
    assert "<script" not in page
    assert "least &lt;b&gt;loss" in page
    assert "&lt;i&gt;Chip" in page
    assert "<b>loss" not in page
    assert 'name="viewport"' in page
    for fact in ("c0de", "1 min 23 s", "torch 2.11.0", "simclr.sif (sha256 d1935t)", "hash-of-digits"):
        assert fact in page
    assert "10-NN accuracy: 70.0 % in the plane, 80.0 % in the space of the features. Trustworthiness 0.90" in page


def test_results_without_labels_make_sentences_and_no_empty_panel(tmp_path: Path, resources: Path) -> None:
    write_run(tmp_path, 0, labeled=False)
    summarize(settings(0), results=tmp_path, resources=resources, out=tmp_path)
    for file in ("summary.md", "summary.html"):
        assert "Accuracy was not measured" in (tmp_path / file).read_text()
    for name in ("label_efficiency", "history", "monitors"):
        for kind in ("png", "svg"):
            assert (tmp_path / "summary" / f"{name}.{kind}").stat().st_size > 1000
    page = (tmp_path / "summary.html").read_text()
    assert "Trustworthiness 0.90" in page
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert "Hold-out metrics during pretraining" in headings
    assert not {"Accuracy by number of labels", "Confusion"} & set(headings), "a sentence says why, not an empty panel"
    assert "<li>Accuracy was not measured: it requires labels in the data.</li>" in page


def test_a_grid_of_two_seeds_is_aggregated_in_one_table_and_plot(tmp_path: Path, resources: Path) -> None:
    runs = []
    for temperature in (0.1, 0.5):
        pretrain = f"simclr-temperature={temperature}"
        for seed in (0, 1):
            write_finetune(write_run(tmp_path, seed, pretrain=pretrain), "tuned", "pretrained", 0.85)
            grids = [{"pretrain": "simclr", "values": {"temperature": temperature}}]
            runs.append(
                {"dataset": "digits", "pretrain": pretrain, "seed": seed, "finetunes": ["tuned"], "grids": grids}
            )
    summarize(SummarySettings.model_validate({"runs": runs}), results=tmp_path, resources=resources, out=tmp_path)
    page = (tmp_path / "summary.html").read_text()
    assert "digits: comparison of the pretrainings" in page
    plots = {"label_efficiency", "history", "monitors", "confusion", "mistakes", "finetune_history", "sweep"}
    files = {path.name for path in (tmp_path / "summary").iterdir()}
    assert files == {f"{name}.{kind}" for name in plots for kind in ("png", "svg")} | {"run.json"}
    assert json.loads((tmp_path / "summary" / "run.json").read_text())["settings"]["runs"][2]["seed"] == 0
    words = re.findall(r"<!-- (.*?) -->", (tmp_path / "summary" / "sweep.svg").read_text())
    assert {"temperature", "0.1", "0.5", "10 labels", "kNN, all labels", "fine-tuned: tuned, 10 labels"} <= set(words)
    for key in ("temperature: 0.1", "Data", "hold-out"):
        assert key in page


def test_pretrainings_of_one_data_set_are_compared_in_one_table() -> None:
    rows = [
        ("digits", pretrain, seed, "linear", "simclr", 10, "simclr", "test", "accuracy", value + seed / 10)
        for pretrain, value in (("a", 0.5), ("b", 0.7))
        for seed in (0, 1)
    ]
    columns = ["dataset", "pretrain", "seed", "stage", "input", "labels", "series", "split", "metric", "value"]
    table = pd.DataFrame(rows, columns=columns)
    assert comparison(table) == [["pretraining", "10 labels"], ["a", "55.0 ± 7.1 (2)"], ["b", "75.0 ± 7.1 (2)"]]
    assert comparison(table[:2]) == []


def test_worst_classes_are_those_of_least_mean_f1() -> None:
    rows = [{"class": f"c{label}", "images": 5, "f1": label / 10 + draw / 100} for draw in (0, 2) for label in range(8)]
    rows.append({"class": "absent", "images": 0, "f1": None})
    header, found = worst_classes({"tuned": rows})
    assert header == ["fine-tuning", "worst", "2.", "3.", "4.", "5."]
    assert found == ["tuned", "c0: 1.0", "c1: 11.0", "c2: 21.0", "c3: 31.0", "c4: 41.0"]


def test_the_surest_mistakes_come_first_with_their_own_images() -> None:
    images, labels = digits(60)
    chances = np.random.default_rng(0).dirichlet(np.ones(10), 60)
    guess = chances.argmax(axis=1)
    table = pd.DataFrame({"row": range(60), "label": pd.Series(labels, dtype="Int64"), "prediction": guess})
    table["class"], table["predicted_class"] = [[DIGITS[number] for number in column] for column in (labels, guess)]
    named = pd.DataFrame(chances, columns=[f"probability_{digit}" for digit in DIGITS])
    found = surest_mistakes(pd.concat([table, named], axis=1), images)
    wrong = np.flatnonzero(labels != guess)
    order = wrong[np.argsort(-chances.max(axis=1)[wrong])][:MOST]
    np.testing.assert_array_equal(found.images, images[order])
    first = order[0]
    assert found.names[0] == f"{DIGITS[labels[first]]}\n→ {DIGITS[guess[first]]}\n{100 * chances[first].max():.0f} %"
    assert (found.count, found.labeled) == (len(wrong), 60)


def test_no_mistake_at_all_makes_an_empty_gallery() -> None:
    table = pd.DataFrame({"row": [0], "label": [1], "prediction": [1], "class": ["b"], "predicted_class": ["b"]})
    found = surest_mistakes(table.assign(probability_a=0.1, probability_b=0.9), digits(1)[0])
    assert (len(found.images), found.names, found.count) == (0, [], 0)
    assert "0 of 1 images wrong" in draw_mistakes({"tuned": found}).axes[0].get_title()


@pytest.mark.parametrize(
    ("counts", "kept"),
    [([10, 20, 50, 100, 130, 1437], [10, 20, 50, 100, 1437]), ([7], [7]), ([100, 130], [100, 130]), ([], [])],
)
def test_numbers_of_labels_that_would_overlap_are_left_out_of_the_axis(counts: list[int], kept: list[int]) -> None:
    assert curves.spread(counts) == kept


@needs_chromium
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_opens_in_a_browser_without_request_or_error(width: int, tmp_path: Path, resources: Path) -> None:
    write_finetune(write_run(tmp_path, 0), "tuned", "pretrained", 0.85)
    summarize(settings(0, finetunes=("tuned",)), results=tmp_path, resources=resources, out=tmp_path)
    seen = visit(tmp_path / "summary.html", tmp_path / "browser", width)
    assert (seen.requests, seen.console) == ([], [])
    assert seen.picture.shape[1] == width
    assert (seen.picture[:, -3:] > 250).all(), "nothing is wider than the page"


def test_more_pretrainings_than_panels_are_counted_in_the_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "MOST_PANELS", 2)
    frame = pd.DataFrame({"epoch": [1], "loss": [5.0], "learning_rate": [0.1]})
    figure = curves.history({f"digits, {number}": {0: frame} for number in range(5)})
    assert len(figure.axes) == 4  # loss and learning rate of two
    assert "The first 2 of 5" in figure.get_suptitle()


def test_a_run_that_has_not_run_is_named(tmp_path: Path, resources: Path) -> None:
    with pytest.raises(UserError, match=r"seed7/pretrain/history\.csv does not exist"):
        summarize(settings(7), results=tmp_path, resources=resources, out=tmp_path)


def test_a_damaged_result_is_named(tmp_path: Path, resources: Path) -> None:
    folder = write_run(tmp_path, 0)
    (folder / "evaluate" / "knn.json").write_text('{"neighbors": ')
    with pytest.raises(UserError, match=r"knn\.json is not valid JSON"):
        summarize(settings(0), results=tmp_path, resources=resources, out=tmp_path)
