"""Snakemake's report of the finished project holds every figure with its explanation, and asks nothing of a network."""

import base64
import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.unit.browser import needs_chromium, visit

from .conftest import Project

FIGURES = {
    "Summary": {"all runs", "label efficiency", "history", "monitors", "confusion", "mistakes", "finetune history"},
    "Features in the plane": {"picture", "interactive"},
    "Galleries": {"augmentation", "neighbours"},
}


@pytest.fixture(scope="module")
def report(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report, made beside the finished project, which is only read."""
    file = tmp_path_factory.mktemp("report") / "report.html"
    done = finished.snakemake("--report", str(file), "--nolock")
    assert done.returncode == 0, done.stdout + done.stderr
    return file


def test_the_report_holds_every_figure_in_its_category_with_a_caption(report: Path) -> None:
    text = report.read_text()
    print(len(text), re.findall(r"var (\w+)", text)[:40], text[:0])
    (content,) = re.findall(r"var results = (\{.*?\});?\s*\n", text, re.DOTALL)
    assert content


@needs_chromium
@pytest.mark.parametrize("width", [1280, 390])
def test_the_report_opens_in_a_browser_without_request_or_error(report: Path, width: int, tmp_path: Path) -> None:
    seen = visit(report, tmp_path / "browser", width)
    assert seen.requests == []
    assert seen.console == []


@needs_chromium
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("page", ["summary.html", "digits/simclr/seed0/umap/backbone.html"])
def test_the_finished_projects_pages_open_without_request_or_error(
    page: str, width: int, finished: Project, tmp_path: Path
) -> None:
    seen = visit(finished.folder / "results" / page, tmp_path / "browser", width)
    assert (seen.requests, seen.console) == ([], [])
