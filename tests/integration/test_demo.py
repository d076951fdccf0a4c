"""What make demo runs, once it has installed everything, with the demo's own config, cut to take less time."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.integration.conftest import REPOSITORY, snakemake
from tests.layout import assert_results

CUT = (
    "--config",
    "datasets={digits: {subset: 200}}",
    "pretrains={simclr: {encoder: mine:without_batch_norm, epochs: 1}}",
    "finetunes={pretrained: {draws: 1, epochs: 1}, scratch: {draws: 1, epochs: 1}}",
    "evaluation={draws: 1}",
)


@pytest.mark.slow(105)
def test_demo_leaves_the_results_that_it_names_at_its_end_and_runs_nothing_a_second_time(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "config", tmp_path / "config")
    shutil.copy(REPOSITORY / "tests/own_encoders.py", tmp_path / "mine.py")
    done = snakemake(tmp_path, "--quiet", "host", "rules", *CUT, warm=True)
    said = done.stdout + done.stderr
    assert "(100%) done" in said and "jobid" not in said, "as it has shown no number of a job"
    assert_results(tmp_path / "results/digits/simclr/seed0", ["pretrained"], shared=["scratch"])
    mistakes = pd.read_csv(tmp_path / "results/digits/simclr/seed0/finetune/pretrained/mistakes.csv")
    assert mistakes["neighbor_classes"].map(json.loads).map(len).tolist() == [10] * len(mistakes) and len(mistakes)
    recipe = (REPOSITORY / "Makefile").read_text().partition("\ndemo:")[2].partition("\nreport.html:")[0]
    named = set(re.findall(r"\b(?:results/[\w./]+)", recipe))
    assert len(named) == 5 and [name for name in named if not (tmp_path / name).exists()] == []
    assert re.search(r"^\| +50 \| +\d", (tmp_path / "results/summary.md").read_text(), re.MULTILINE)
    assert "Nothing to be done" in snakemake(tmp_path, "--dry-run", *CUT).stdout
