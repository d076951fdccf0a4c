from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from simclr_steps import curves, plots
from simclr_steps.errors import UserError
from simclr_steps.settings import SummarySettings
from simclr_steps.summarize import COLUMNS, summarize

RECORD = {
    "step": "s",
    "settings": {"split": "test"},
    "code_hash": "c0de",
    "data_hash": "da7a",
    "seconds": 83.0,
    "hardware": {"gpus": [], "processor": "<i>Chip</i>", "cores": 2},
}


def put(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**content, "run": RECORD}))


def write_run(results: Path, seed: int, *, labelled: bool = True, pretrain: str = "simclr") -> Path:
    """Write the results of a run; its accuracies tell input, labels, draw and seed."""
    folder = results / "digits" / pretrain / f"seed{seed}"
    put(folder / "pretrain" / "run.json", {})
    history = {"epoch": [1, 2], "step": [5, 10], "loss": [5.0, 4.0], "validate_loss": [5.5, 4.5]}
    rest = {"learning_rate": [0.1, 0.0], "images_per_second": [100.0, 200.0], "seconds": [60.0, 125.0]}
    pd.DataFrame(history | rest).to_csv(folder / "pretrain" / "history.csv", index=False)
    candidates = [{"file": "rank1.ckpt", "epoch": 2, "validate_loss": 4.5}]
    selection = {"chosen": "rank1.ckpt", "epoch": 2, "why": "least <b>loss</b>", "candidates": candidates}
    put(folder / "encoder" / "selection.json", selection)
    layer = {"knn_accuracy_plane": None, "trustworthiness": 0.9, "note": "x"}
    put(folder / "umap" / "quality.json", {"backbone": layer, "projection_head": layer})
    if not labelled:
        put(folder / "evaluate" / "knn.json", {"neighbours": 10, "note": "No accuracy."})
        put(folder / "evaluate" / "linear.json", {"results": [], "note": "No accuracy."})
        return folder
    voted = {"accuracy": 0.9, "weighted_accuracy": 0.8, "images": 50}
    put(folder / "evaluate" / "knn.json", {"neighbours": 10, "test": voted, "note": None})
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
    test = {"images": 50, "accuracy": accuracy, "macro_f1": 0.5, "auroc": None, "confusion_matrix": [[1]]}
    draws = [{"draw": 0, "label_count": 10, "validation": None, "test": test}]
    content = {"labels": 10, "label_count": 10, "init": init, "freeze": False, "classes": ["a"], "draws": draws}
    put(folder / "finetune" / name / "metrics.json", content)


def settings(*seeds: int, finetunes: tuple[str, ...] = (), pretrain: str = "simclr") -> SummarySettings:
    runs = [{"dataset": "digits", "pretrain": pretrain, "seed": seed, "finetunes": list(finetunes)} for seed in seeds]
    return SummarySettings.model_validate({"runs": runs})


def test_the_table_is_tidy_and_the_headline_is_mean_and_sample_deviation(tmp_path: Path) -> None:
    for seed in (0, 1):
        folder = write_run(tmp_path, seed)
        write_finetune(folder, "tuned", "pretrained", 0.85)
        write_finetune(folder, "scratch", "random", 0.4)
    summarize(settings(0, 1, finetunes=("tuned", "scratch")), results=tmp_path, out=tmp_path)
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


def test_a_single_value_has_no_deviation(tmp_path: Path) -> None:
    write_run(tmp_path, 0)
    summarize(settings(0), results=tmp_path, out=tmp_path)
    line = next(line for line in (tmp_path / "summary.md").read_text().splitlines() if line.startswith("|    100"))
    assert "80.0" in line
    assert "±" not in line


def test_finetunings_that_differ_in_more_than_labels_are_told_apart(tmp_path: Path) -> None:
    folder = write_run(tmp_path, 0)
    write_finetune(folder, "slow", "pretrained", 0.7)
    write_finetune(folder, "fast", "pretrained", 0.9)
    summarize(settings(0, finetunes=("slow", "fast")), results=tmp_path, out=tmp_path)
    text = (tmp_path / "summary.md").read_text()
    assert "fine-tuned (slow)" in text
    assert "fine-tuned (fast)" in text
    assert re.search(r"\|\s+10 \|\s+81.0 ± 1.4 \|\s+90.0 \|\s+70.0 \|", text), text


def test_the_page_needs_nothing_but_itself_and_shows_text_as_text(tmp_path: Path) -> None:
    write_run(tmp_path, 0)
    summarize(settings(0), results=tmp_path, out=tmp_path)
    page = (tmp_path / "summary.html").read_text()
    assert all(link.startswith("data:") for link in re.findall(r'(?:src|href)="([^"]*)"', page))
    assert "<script" not in page
    assert "least &lt;b&gt;loss" in page
    assert "&lt;i&gt;Chip" in page
    assert "<b>loss" not in page
    assert 'name="viewport"' in page
    for fact in ("c0de", "da7a", "1 min 23 s"):
        assert fact in page


def test_results_without_labels_make_sentences_and_no_empty_panel(tmp_path: Path) -> None:
    write_run(tmp_path, 0, labelled=False)
    summarize(settings(0), results=tmp_path, out=tmp_path)
    for file in ("summary.md", "summary.html"):
        assert "No accuracy was measured" in (tmp_path / file).read_text()
    for name in ("label_efficiency", "history"):
        for kind in ("png", "svg"):
            assert (tmp_path / "summary" / f"{name}.{kind}").stat().st_size > 1000


def test_more_pretrainings_than_panels_are_counted_in_the_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "MOST_PANELS", 2)
    frame = pd.DataFrame({"epoch": [1], "loss": [5.0], "learning_rate": [0.1]})
    figure = curves.history({f"digits, {number}": {0: frame} for number in range(5)})
    assert len(figure.axes) == 4  # loss and learning rate of two
    assert "The first 2 of 5" in figure.get_suptitle()


def test_a_run_that_has_not_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"seed7/pretrain/history\.csv does not exist"):
        summarize(settings(7), results=tmp_path, out=tmp_path)


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    folder = write_run(tmp_path, 0)
    (folder / "evaluate" / "knn.json").write_text('{"neighbours": ')
    with pytest.raises(UserError, match=r"knn\.json is no valid JSON"):
        summarize(settings(0), results=tmp_path, out=tmp_path)
