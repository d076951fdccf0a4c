"""The page of a summary stands alone and shows what users wrote as text."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from simclr_steps.data.correct import Correct, write_correct
from simclr_steps.steps.summarize import summarize
from simclr_steps.summary import page
from tests.unit.browser import needs_chromium, visit
from tests.unit.conftest import WritePacked
from tests.unit.settings.test_image_format import of
from tests.unit.summary.written_results import settings, write_finetune, write_run


@pytest.fixture
def resources(write_packed: WritePacked) -> Path:
    return write_packed(name="digits").parent


def test_the_page_needs_nothing_but_itself_and_shows_text_as_text(tmp_path: Path, resources: Path) -> None:
    folder = write_run(tmp_path, 0)
    for place, right in ((folder / "evaluate", 45), (tmp_path / "digits/compare/pixels-seed0", 30)):
        write_correct(place / "correct.npz", Correct({("10", 0): np.arange(50) < right}, None))
    summarize(settings(0), results=tmp_path, resources=resources, out=tmp_path)
    page = (tmp_path / "summary.html").read_text()
    for text in (page, (tmp_path / "summary.md").read_text()):
        assert re.search(
            r"Differences in percentage points.*SimCLR minus raw pixels.*\D\+30.0\s\[\+18.0, \+4", text, re.S
        )
    assert all(link.startswith("data:") for link in re.findall(r'(?:src|<link[^>]*href)="([^"]*)"', page))
    links = re.findall(r'<a href="([^"]*)"', page)
    assert [link for link in links if link[0] != "#"] == ["digits/simclr/seed0/umap/map.html"]
    assert {link[1:] for link in links if link[0] == "#"} <= set(re.findall(r'id="([^"]*)"', page))
    assert "<script" not in page
    assert "least &lt;b&gt;loss" in page
    assert "&lt;i&gt;Chip" in page
    assert "<b>loss" not in page
    assert 'name="viewport"' in page
    for fact in ("c0de", "1 min 23 s", "torch 2.11.0", "simclr.sif (sha256 d1935t)", "hash-of-digits"):
        assert fact in page
    assert "10-NN accuracy: 70.0 % in the plot, 80.0 % in feature space. Trustworthiness 0.90" in page


def test_the_format_of_the_images_is_said() -> None:
    one_range = of(2, bits=16, dtype="uint16", value_range=[(180, 4095)] * 2)
    two_ranges = of(2, bits=16, dtype="float32", channel_names=["DNA", "<b>"], value_range=[(-0.5, 1), (0, 65_535)])
    assert page._images(of(3)) == "6 × 5 pixels, 3 channels"
    assert page._images(one_range) == "6 × 5 pixels, 2 channels, 16 bits, range 180 to 4,095"
    assert page._images(of(1)) == "6 × 5 pixels, 1 channel"
    said = "6 × 5 pixels, 2 channels (DNA, <b>), 16 bits, range DNA -0.5 to 1, <b> 0 to 65,535"
    assert page._images(two_ranges) == said


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_opens_in_a_browser_without_request_or_error(width: int, tmp_path: Path, resources: Path) -> None:
    write_finetune(write_run(tmp_path, 0), "tuned", "pretrained", 0.85)
    summarize(settings(0, finetunes=("tuned",)), results=tmp_path, resources=resources, out=tmp_path)
    seen = visit(tmp_path / "summary.html", tmp_path / "browser", width)
    assert (seen.requests, seen.console) == ([], [])
    assert seen.picture.shape[1] == width
    assert (seen.picture[:, -3:] > 250).all(), "nothing is wider than the page"
