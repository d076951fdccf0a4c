"""What make demo runs, once it has installed everything."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from simclr_steps.files import read_json
from tests.integration.conftest import CUT, REPOSITORY, snakemake
from tests.layout import assert_results


def test_demo_leaves_the_results_that_it_names_at_its_end(demo: Path) -> None:
    assert_results(demo / "results/digits/simclr/seed0", ["pretrained", "scratch"])
    recipe = (REPOSITORY / "Makefile").read_text().partition("\ndemo:")[2].partition("\nreport.html:")[0]
    named = set(re.findall(r"\b(?:results/[\w./]+)", recipe))
    assert len(named) == 5 and [name for name in named if not (demo / name).exists()] == []
    assert re.search(r"^\| +50 \| +\d", (demo / "results/summary.md").read_text(), re.MULTILINE)


def test_accuracy_of_the_predictions_is_that_of_the_metrics(demo: Path) -> None:
    for name in ("pretrained", "scratch"):
        folder = demo / "results/digits/simclr/seed0/finetune" / name
        found = pd.read_parquet(folder / "predictions.parquet")
        expected = read_json(folder / "metrics.json")["draws"][0]["test"]["accuracy"]
        assert (found["prediction"] == found["label"]).mean() == pytest.approx(expected)


def test_demo_runs_nothing_a_second_time(demo: Path) -> None:
    assert "Nothing to be done" in snakemake(demo, "--dry-run", *CUT).stdout


def test_report_of_the_demo_is_made_without_network_and_holds_every_category(
    demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    project = Path(shutil.copytree(demo, tmp_path / "project", symlinks=True))
    snakemake(project, "--report", "report.html", *CUT)
    report = (project / "report.html").read_text(encoding="utf-8")
    files = [path.read_text() for path in (REPOSITORY / "workflow/rules").glob("*.smk")]
    categories = set(re.findall(r"""(?<!sub)category"?[=:] *"([^"]+)""", "".join(files)))
    assert len(categories) >= 3 and [name for name in categories if f'"{name}"' not in report] == []
