from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd

from simclr_steps.settings.runs import Run
from simclr_steps.steps.summarize import summarize
from simclr_steps.summary.batch_effects import batch_effects
from simclr_steps.summary.intervals import interval
from simclr_steps.summary.notes import as_sentences
from simclr_steps.summary.run_results import RunResults
from tests.unit.conftest import WritePacked
from tests.unit.summary.written_results import settings, write_metadata, write_run


def of_runs(*accuracies: float, chance: float = 0.12, chance_most: float = 0.15, least_p: float = 1e-9) -> pd.DataFrame:
    rows = []
    for seed, accuracy in enumerate(accuracies):
        run = RunResults(Run(dataset="cells", pretrain="simclr", seed=seed, finetunes=[]))
        run.add("metadata", "accuracy", accuracy, images=400, input="plate")
        run.add("metadata", "chance", chance, input="plate")
        run.add("metadata", "chance_most", chance_most, input="plate")
        run.add("metadata", "shuffled", 8, input="plate")
        run.add("metadata", "least_p", least_p, input="plate")
        rows += run.rows
    return pd.DataFrame(rows, columns=[*rows[0], "by_group"])


def said(rows: pd.DataFrame) -> list[str]:
    return as_sentences(one.note() for one in batch_effects(rows))


def test_a_column_that_is_predicted_is_called_a_batch_effect() -> None:
    assert said(of_runs(0.71)) == [
        "cells/simclr: plate is predicted at 71.0 [66.4, 75.2] % by the nearest neighbors of images, where chance is "
        "12.0 %: a batch effect, unless plate is what images differ by."
    ]
    assert "71.0 ± 1.4 [66.4, 75.2] (2) %" in said(of_runs(0.70, 0.72))[0]


def test_a_column_at_chance_is_said_to_be() -> None:
    (line,) = said(of_runs(0.13))
    assert line.endswith("which cannot be distinguished from chance, 12.0 % (up to 15.0 % by shuffled values).")
    assert "a batch effect" not in said(of_runs(0.2, chance_most=0.18))[0], "shuffles reach nearly as much"
    assert said(of_runs(0.13)[:0]) == []


def test_groups_whose_shuffles_can_show_no_effect_are_called_too_few() -> None:
    (line,) = said(of_runs(0.97, least_p=1 / 35))
    assert line.startswith("cells/simclr: too few groups to tell (8) whether the features predict plate: ")
    assert "2.9 % of all cases" in line and "97.0" not in line, "nothing that looks like an answer"
    assert "a batch effect" in said(of_runs(0.97, least_p=1 / 56))[0]


def test_a_table_of_all_columns_stands_in_both_summaries(tmp_path: Path, write_packed: WritePacked) -> None:
    columns = ["plate|<b>", "site", "stain"]
    for seed, accuracy in enumerate((0.7, 0.8)):
        folder = write_run(tmp_path / "results", seed)
        write_metadata(folder, **dict(zip(columns, (accuracy, 0.25, accuracy), strict=True)))
        path = folder / "evaluate" / "metadata.json"
        content = json.loads(path.read_text())
        content["columns"]["stain"] |= {"shuffled": 8, "least_p": 1 / 35}
        path.write_text(json.dumps(content))
    of_runs = settings(0, 1).model_copy(update={"metadata": columns})
    resources = write_packed(name="digits").parent
    summarize(of_runs, results=tmp_path / "results", resources=resources, out=tmp_path)
    page, text = ((tmp_path / name).read_text() for name in ("summary.html", "summary.md"))
    section = page.split('<h2 id="metadata">Metadata</h2>')[1].split("<h2")[0]
    rows = [re.findall("<td>(.*?)</td>", row, re.DOTALL) for row in section.split("<tr>")[2:]]
    places = [page.index(text) for text in ("Read this first", 'id="results-1"', 'id="notes"', 'id="data"')]
    assert places == sorted(places), "notes stand below the results, and the gravest above them"
    low, high = (f"{100 * limit:.1f}" for limit in interval(0.75, 50))
    assert rows == [
        ["digits, simclr", "plate|&lt;b&gt;", f"75.0 ± 7.1\n[{low}, {high}] (2)", "25.0", "30.0", "batch effect"],
        [*("digits, simclr", "site", rows[1][2]), "25.0", "30.0", "not distinguishable from chance"],
        [*("digits, simclr", "stain", rows[0][2]), "25.0", "30.0", "too few groups to tell (8)"],
    ]
    line = f"plate\\|&lt;b&gt; | 75.0 ± 7.1 [{low}, {high}] (2) |   25.0 |           30.0 |"
    assert line in text and "batch effect |" in text
