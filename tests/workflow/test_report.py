"""Snakemake's report of the finished project holds every figure with its explanation, and asks nothing of a network."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.browser import needs_chromium, visit
from tests.workflow.conftest import Project

pytestmark = pytest.mark.slow
FIGURES = {
    "1 Summary": {"all runs", "label efficiency", "history", "monitors", "confusion", "mistakes", "finetune history"},
    "2 Features in 2D": {"picture", "interactive"},
    "3 Galleries": {"augmentation", "neighbors"},
}


@pytest.fixture(scope="module")
def report(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report, made without a network beside the finished project, which is only read."""
    file = tmp_path_factory.mktemp("report") / "report.html"
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    done = finished.forked_snakemake("--report", str(file), "--nolock", warm=False, **nowhere)
    assert done.returncode == 0, done.stdout + done.stderr
    return file


def test_the_report_holds_every_figure_in_its_category_with_a_caption(report: Path) -> None:
    categories, results = read(report, "categories"), read(report, "results")
    shown = {
        category: {results[name]["labels"].get("gallery") or results[name]["labels"]["plot"] for name in names}
        for category, groups in categories.items()
        for names in [[name for group in groups.values() for name in group]]
    }
    assert shown == FIGURES
    assert list(categories) == sorted(FIGURES), "it opens with the summary"
    assert len(results) == 12
    for name, one in results.items():
        assert len(one["caption"]) > 200, f"{name} explains itself to a newcomer"
        assert "snakemake.wildcards" not in one["caption"]
        assert one["data_uri"].startswith("data:")


def test_the_report_of_a_hundred_runs_is_small_as_it_leaves_their_pictures_out(fresh: Project) -> None:
    fresh.config["experiments"][0]["grid"] = {"temperature": [round(0.1 + number / 100, 2) for number in range(100)]}
    fresh.write_config()
    names = ["label_efficiency", "history", "monitors", "sweep", "confusion", "mistakes", "finetune_history"]
    files = {"summary.html": 3_000_000} | {f"summary/{name}.png": 1_000_000 for name in names}  # as large as can be
    for name, size in files.items():
        file = fresh.folder / "results" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(size))
    report = fresh.folder / "report.html"
    done = fresh.forked_snakemake("--report", str(report), "--nolock", warm=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(read(report, "categories")) == ["1 Summary"] and len(read(report, "results")) == len(files)
    assert report.stat().st_size < 30e6


def read(report: Path, name: str) -> dict[str, Any]:
    """Read an object that a script of the report defines."""
    text = report.read_text()
    start = f'<script id="{name}">'
    found: dict[str, Any] = json.JSONDecoder().raw_decode(text, text.index("{", text.index(start)))[0]
    return found


@needs_chromium
@pytest.mark.parametrize("width", [1280, 390])
def test_the_report_opens_in_a_browser_without_request_or_error(report: Path, width: int, tmp_path: Path) -> None:
    seen = visit(report, tmp_path / "browser", width)
    assert seen.requests == []
    # Snakemake's own, and not from afar: the style sheets that it brings say so of themselves.
    assert [line for line in seen.console if "cdn.tailwindcss.com should not be used in production" not in line] == []


@needs_chromium
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("page", ["summary.html", "digits/simclr/seed0/umap/map.html"])
def test_the_finished_projects_pages_open_without_request_or_error(
    page: str, width: int, finished: Project, tmp_path: Path
) -> None:
    seen = visit(finished.folder / "results" / page, tmp_path / "browser", width)
    assert (seen.requests, seen.console) == ([], [])
