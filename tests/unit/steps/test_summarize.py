from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simclr_steps.settings.runs import GridPoint, SummarySettings
from simclr_steps.steps.summarize import summarize
from simclr_steps.summary.collected import COLUMNS
from tests.unit.conftest import WritePacked
from tests.unit.summary.written_results import settings, write_finetune, write_run


@pytest.fixture
def resources(write_packed: WritePacked) -> Path:
    return write_packed(name="digits").parent


def test_the_table_is_tidy_and_the_headline_is_mean_and_sample_deviation(tmp_path: Path, resources: Path) -> None:
    for seed in (0, 1):
        folder = write_run(tmp_path, seed)
        write_finetune(folder, "tuned", "pretrained", 0.85)
        write_finetune(folder, "scratch", "random", 0.4)
    summarize(settings(0, 1, finetunes=("tuned", "scratch")), results=tmp_path, resources=resources, out=tmp_path)
    table = pd.read_csv(tmp_path / "summary.csv")
    assert list(table) == COLUMNS
    keys = [column for column in COLUMNS if column not in ("value", "images", "low", "high")]
    assert not table.duplicated(keys).any()
    here = table.query("stage == 'linear' and input == 'simclr' and labels == 10 and split == 'test'")["value"]
    assert sorted(here) == pytest.approx([0.80, 0.81, 0.82, 0.83])
    assert set(table["stage"]) == {"pretrain", "select", "knn", "linear", "finetune", "umap"}
    assert set(table.query("stage == 'finetune'")["metric"]) == {"accuracy", "macro_f1", "epochs"}

    accuracies = table[table["metric"].str.contains("accuracy")].query("split == 'test' or stage == 'select'")
    assert set(accuracies["stage"]) == {"select", "knn", "linear", "finetune", "umap"}
    assert (accuracies["images"] == 50).all()
    assert (accuracies["low"] < accuracies["value"]).all()
    assert (accuracies["value"] < accuracies["high"]).all()
    assert table[table["metric"] == "macro_f1"]["low"].isna().all()

    text, apart = (tmp_path / "summary.md").read_text().split("Sources of the deviation")
    assert re.search(r"\|\s+10 \|\s+0.7 / 1.4 \|", apart), apart
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "|" in line]
    lines = {row[0]: row[1:] for row in rows}
    columns = dict(zip(lines["labels"], lines["10"], strict=True))
    deviation = 100 * np.std([0.80, 0.81, 0.82, 0.83], ddof=1)
    assert columns["SimCLR features"] == f"81.5 ± {deviation:.1f} [68.6, 89.9]"
    assert columns["fine-tuned"] == "85.0 ± 0.0 [72.6, 92.4]"
    assert columns["from scratch"] == "40.0 ± 0.0 [27.6, 53.8]"
    assert lines["100"][lines["labels"].index("from scratch")] == ""
    assert "in %: 90.0 ± 0.0 [78.6, 95.7], mean of 2 seeds" in apart
    assert "2 epochs in 2 min 05 s" in apart


@pytest.mark.slow
def test_the_page_and_the_log_name_the_config_and_the_results_of_others(
    tmp_path: Path, resources: Path, caplog: pytest.LogCaptureFixture
) -> None:
    results, whole = tmp_path / "results", settings(0, 1, finetunes=("tuned", "scratch"))
    for seed in (0, 1):
        folder = write_run(results, seed)
        write_finetune(folder, "tuned", "pretrained", 0.85)
        write_finetune(folder, "scratch", "random", 0.4)
    summarize(whole, results=results, resources=resources, out=tmp_path)
    assert "not part of this summary" not in (tmp_path / "summary.html").read_text()
    write_run(results, 0, pretrain="other")
    part = settings(0, finetunes=("tuned",))
    with caplog.at_level("INFO"):
        summarize(part, results=results, resources=resources, out=tmp_path, config="second.yaml")
    others = "digits/other/seed0, digits/simclr/seed0/finetune/scratch, digits/simclr/seed1"
    for text in (caplog.text, (tmp_path / "summary.md").read_text(), (tmp_path / "summary.html").read_text()):
        assert "This is the summary of second.yaml." in text
        assert f"results also holds results that are not part of this summary: {others}." in text


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
    assert "Without labels, look at" in page and "label draws" not in page
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert "Hold-out metrics during pretraining" in headings
    assert not {"Accuracy by number of labels", "Confusion"} & set(headings), "a sentence says why, not an empty panel"
    for text in (page, (tmp_path / "summary.md").read_text()):
        assert text.count("Accuracy was not measured") == 1
    assert "<li>Features: they use 30.0 directions" in page and "<li>Neighbors: " in page


@pytest.mark.slow
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
    words = re.findall(r"<text[^>]*>(.*?)</text>", (tmp_path / "summary" / "sweep.svg").read_text())
    assert {"temperature", "0.1", "0.5", "10 labels", "100 labels"} <= set(words)  # which the hold-out was judged with
    for key in ("temperature: 0.1", "Data", "hold-out"):
        assert key in page


def test_a_grid_has_a_leaderboard_and_says_that_the_hold_out_judges(tmp_path: Path, resources: Path) -> None:
    runs = []
    for temperature in (0.1, 0.5):
        name = f"simclr-temperature={temperature}"
        write_run(tmp_path, 0, pretrain=name)
        point = GridPoint(pretrain="simclr", values={"temperature": temperature}, block={"temperature": temperature})
        of_grid = {"grids": [point], "judged_by": "validation"}
        runs.append(settings(0, pretrain=name).runs[0].model_copy(update=of_grid))
    summarize(SummarySettings(runs=runs), results=tmp_path, resources=resources, out=tmp_path)
    page, text = ((tmp_path / f"summary.{kind}").read_text() for kind in ("html", "md"))
    for whole in (page, text):
        assert "Choosing the best of many makes it look better than it is" in whole
        assert "pretrains:\n  simclr_best: {temperature: 0.1}\n" in whole
        assert "runs of a grid are judged on the hold-out" in whole
    assert re.search(r"\| 1, best \| +0.1 \| 10.0 ± 0.0 \(2\) \|", text)
    assert {link[1:] for link in re.findall(r'<a href="(#[^"]*)"', page)} <= set(re.findall(r'id="([^"]*)"', page))
    assert "digits: comparison of the pretrainings" in page and "on the hold-out split: frozen" in page
    assert not (pd.read_csv(tmp_path / "summary.csv").query("stage in ['knn', 'linear']")["split"] == "test").any()
