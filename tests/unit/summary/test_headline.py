"""The headline tells fine-tunings apart and says how far values differ where there are several."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from simclr_steps.settings.plan import SummarySettings
from simclr_steps.steps.summarize import COLUMNS
from simclr_steps.summary.headline import as_markdown, group
from simclr_steps.summary.run_results import read_run
from tests.unit.summary.written_results import settings, write_finetune, write_run


def page(summarized: SummarySettings, results: Path) -> str:
    """Return summary.md."""
    rows = [row for run in summarized.runs for row in read_run(run, results).rows]
    table = pd.DataFrame(rows, columns=[*COLUMNS, "series"]).astype({"labels": "Int64", "draw": "Int64"})
    return as_markdown(group(table), [])


def test_names_in_notes_are_text_on_one_line() -> None:
    text = as_markdown([], ['class "<b>a\r\nx</b>\x1b[31m" is rare', "second"])
    assert text.endswith('- class "&lt;b&gt;a x&lt;/b&gt;�[31m" is rare\n- second\n')


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


def test_one_sentence_says_how_the_penalty_was_chosen(tmp_path: Path) -> None:
    folder = write_run(tmp_path, 0)
    file = folder / "evaluate" / "linear.json"
    assert page(settings(0), tmp_path).count("was chosen among five values on the hold-out") == 1
    file.write_text(file.read_text().replace('"C_chosen_on": "validation"', '"C_chosen_on": "train"'))
    assert "was chosen among five values by 5-fold cross-validation" in page(settings(0), tmp_path)
