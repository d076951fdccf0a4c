"""The page of a summary stands alone and shows what users wrote as text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from simclr_steps.steps.summarize import summarize
from tests.unit.browser import needs_chromium, visit
from tests.unit.conftest import WritePacked
from tests.unit.summary.written_results import settings, write_finetune, write_run


@pytest.fixture
def resources(write_packed: WritePacked) -> Path:
    return write_packed(name="digits").parent


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


@needs_chromium
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_opens_in_a_browser_without_request_or_error(width: int, tmp_path: Path, resources: Path) -> None:
    write_finetune(write_run(tmp_path, 0), "tuned", "pretrained", 0.85)
    summarize(settings(0, finetunes=("tuned",)), results=tmp_path, resources=resources, out=tmp_path)
    seen = visit(tmp_path / "summary.html", tmp_path / "browser", width)
    assert (seen.requests, seen.console) == ([], [])
    assert seen.picture.shape[1] == width
    assert (seen.picture[:, -3:] > 250).all(), "nothing is wider than the page"
