"""The headline tells fine-tunings apart and says how far values differ where there are several."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd

from simclr_steps.settings.runs import SummarySettings
from simclr_steps.summary.collected import COLUMNS
from simclr_steps.summary.headline import group
from simclr_steps.summary.markdown import as_markdown
from simclr_steps.summary.reading import read_run
from tests.unit.summary.written_results import settings, write_finetune, write_run


def page(summarized: SummarySettings, results: Path) -> str:
    """Return summary.md."""
    rows = [row for run in summarized.runs for row in read_run(run, results).rows]
    table = pd.DataFrame(rows, columns=[*COLUMNS, "series", "by_group"]).astype({"labels": "Int64", "draw": "Int64"})
    return as_markdown([], [], group(table), {}, [], [])


def measured_of(folder: Path) -> list[Path]:
    """Return the folders of what was measured of a run and of what it is compared with."""
    return [folder / "evaluate", *(folder.parents[1] / "compare").iterdir()]


def test_a_single_value_has_no_deviation(tmp_path: Path) -> None:
    write_run(tmp_path, 0)
    line = next(line for line in page(settings(0), tmp_path).splitlines() if line.startswith("|    100"))
    assert "80.0" in line
    assert "±" not in line


def test_finetunings_that_differ_in_more_than_labels_are_told_apart(tmp_path: Path) -> None:
    folder = write_run(tmp_path, 0)
    write_finetune(folder, "slow", "pretrained", 0.7)
    write_finetune(folder, "fast", "pretrained", 0.9)
    text = page(settings(0, finetunes=("slow", "fast")), tmp_path)
    assert "fine-tuned (slow)" in text
    assert "fine-tuned (fast)" in text
    assert re.search(
        r"\|\s+10 \|\s+81.0 ± 1.4 \[68.1, 89.5\] \|\s+90.0 \[78.6, 95.7\] \|\s+70.0 \[56.2, 80.9\] \|", text
    ), text


def test_groups_are_counted_and_the_interval_is_said_to_be_over_them(tmp_path: Path) -> None:
    folder = write_run(tmp_path, 0)
    write_finetune(folder, "tuned", "pretrained", 0.8)
    by_group = {"images": [10, 10, 10, 10, 10], "accuracy": [10, 10, 10, 10, 0], "weighted_accuracy": [8] * 5}
    for place in measured_of(folder):
        for name, given in (("knn.json", {}), ("linear.json", {"label_groups": 4})):
            content = json.loads((place / name).read_text())
            for measured in (content["test"],) if "test" in content else content["results"]:
                measured |= {"by_group": by_group, **given}
            (place / name).write_text(json.dumps(content))
    metrics = json.loads((folder / "finetune/tuned/metrics.json").read_text())
    metrics["draws"][0]["label_groups"] = 4
    metrics["draws"][0]["test"]["by_group"] = by_group
    (folder / "finetune/tuned/metrics.json").write_text(json.dumps(metrics))
    rows = read_run(settings(0, finetunes=("tuned",)).runs[0], tmp_path).rows
    judged = [row for row in rows if row.get("images") and row["split"] == "test" and row["stage"] != "umap"]
    assert judged and all(row["groups"] == 5 for row in judged)
    assert {row["label_groups"] for row in judged if row["stage"] != "knn"} == {4}
    text = page(settings(0, finetunes=("tuned",)), tmp_path)
    assert "of 50 images from 5 groups in %" in text and "(bootstrap over whole groups; Wilson if" in text
    assert "95 % Wilson interval" not in text
    assert re.search(r"\|  10 \(4 groups\) \|.* 80.0 \[40.0, 100.0\]", text), text


def test_a_budget_of_groups_is_a_line_whatever_its_draws_labels_with_their_mean(tmp_path: Path) -> None:
    folder = write_run(tmp_path, 0)
    write_finetune(folder, "tuned", "pretrained", 0.8)
    for place in measured_of(folder):
        content = json.loads((place / "linear.json").read_text())
        for row in content["results"]:
            row["label_groups"] = 3
            if row["labels"] == 10:
                row |= {"labels": 50 + 11 * row["draw"], "budget": "{groups: 3}"}
        (place / "linear.json").write_text(json.dumps(content))
    metrics = json.loads((folder / "finetune/tuned/metrics.json").read_text())
    metrics["draws"][0] |= {"label_groups": 3, "budget": "{groups: 3}", "label_count": 50}
    (folder / "finetune/tuned/metrics.json").write_text(json.dumps(metrics))
    text = page(settings(0, finetunes=("tuned",)), tmp_path)
    line, other = (line for line in text.splitlines() if line.startswith("|") and "groups" in line)
    assert line.startswith("| {groups: 3} (54.1) |") and line.count("±") == 3 and line.count("[") == 4
    assert other.startswith("|     100 (3 groups) |")


def test_one_sentence_says_how_the_penalty_was_chosen(tmp_path: Path) -> None:
    folder = write_run(tmp_path, 0)
    assert page(settings(0), tmp_path).count("was chosen from seven values on the hold-out") == 1
    for place in measured_of(folder):
        file = place / "linear.json"
        file.write_text(file.read_text().replace('"C_chosen_on": "validation"', '"C_chosen_on": "train"'))
    assert "was chosen from seven values by 5-fold cross-validation" in page(settings(0), tmp_path)


def test_one_epoch_is_called_so(tmp_path: Path) -> None:
    path = write_run(tmp_path, 0) / "pretrain" / "history.csv"
    history = pd.read_csv(path)
    history[:1].to_csv(path, index=False)
    assert "Pretraining: 1 epoch in 1 min" in page(settings(0), tmp_path)
