"""The page of a summary stands alone and shows what users wrote as text."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simclr_steps.data.correct import Correct, write_correct
from simclr_steps.steps.present import present
from simclr_steps.steps.summarize import summarize
from simclr_steps.summary import page as page_module
from tests.unit.browser import needs_chromium, visit
from tests.unit.conftest import WritePacked
from tests.unit.summary.written_results import settings, write_finetune, write_metadata, write_run

AXE = Path(os.environ.get("SIMCLR_TEST_DATA", "absent"), "axe.min.js")  # of npm's axe-core


@pytest.fixture
def resources(write_packed: WritePacked) -> Path:
    return write_packed(name="digits").parent


def test_the_page_needs_nothing_but_itself_and_shows_text_as_text(tmp_path: Path, resources: Path) -> None:
    folder = write_run(tmp_path, 0)
    write_metadata(folder, plate=0.7)
    write_finetune(folder, "tuned", "pretrained", 0.85)
    for place, right in ((folder / "evaluate", 45), (tmp_path / "digits/compare/pixels-seed0", 30)):
        write_correct(place / "correct.npz", Correct({("10", 0): np.arange(50) < right}, None))
    with_table = settings(0, finetunes=("tuned",)).model_copy(update={"metadata": ["plate"]})
    summarize(with_table, results=tmp_path, resources=resources, out=tmp_path)
    page = (tmp_path / "summary.html").read_text()
    for text in (page, (tmp_path / "summary.md").read_text()):
        assert re.search(
            r"Differences in percentage points.*SimCLR minus raw pixels.*\D\+30.0\s\[\+18.0, \+4", text, re.S
        )
    assert all(link.startswith("data:") for link in re.findall(r'(?:src|<link[^>]*href)="([^"]*)"', page))
    links = re.findall(r'<a href="([^"]*)"', page)
    assert [link for link in links if link[0] != "#"] == ["digits/simclr/seed0/umap/map.html"]
    assert {link[1:] for link in links if link[0] == "#"} <= set(re.findall(r'id="([^"]*)"', page))
    (script,) = re.findall(r"<script>(.*?)</script", page, re.S)
    assert script.strip() == Path(page_module.__file__).with_suffix(".js.j2").read_text().strip()
    assert page.count("<script") == 1
    assert "least &lt;b&gt;loss" in page
    assert "&lt;i&gt;Chip" in page
    assert "<b>loss" not in page
    assert 'name="viewport"' in page
    for fact in ("c0de", "1 min 23 s", "torch 2.11.0", "simclr.sif (sha256 d1935t)", "hash-of-digits"):
        assert fact in page
    assert "10-NN accuracy in the plot: 70.0 % [56.2, 80.9] of 50 images. 10-NN accuracy in feature" in page
    assert "80.0 % [67.0, 88.8] of 50 images. Trustworthiness 0.90" in page
    assert len(re.findall(r"<table[^>]*>\s*<caption>[^<]+</caption>", page)) == page.count("<table") > 10
    assert set(re.findall(r"<th\b([^>]*)>", page)) == {' scope="col"', ' scope="row"'}
    assert not re.search(r"<th[^>]*>\s*</th>", page)
    assert (
        'alt="Accuracy by number of labels. digits, simclr: test accuracy in % by labels: SimCLR features 81 to 80'
        in page
    )
    listed = re.findall(r'href="#([^"]*)"', page.split('<nav class="contents')[1].split("</nav>")[0])
    assert listed == re.findall(r'<h2 id="([^"]*)"', page) and len(listed) == page.count("<h2") > 10


def test_without_pictures_the_page_holds_no_image_of_the_data(tmp_path: Path, resources: Path) -> None:
    folder = write_run(tmp_path, 0)
    write_finetune(folder, "tuned", "pretrained", 0.85)
    (folder / "galleries").mkdir()
    for name in ("augmentation", "neighbors"):
        Image.new("RGB", (9, 9)).save(folder / f"galleries/{name}.png")
    asked = settings(0, finetunes=("tuned",)).model_copy(update={"pictures": False})
    summarize(asked, results=tmp_path, resources=resources, out=tmp_path)
    page = (tmp_path / "summary.html").read_text()
    assert page.count("data:image/png") == 1, "that of UMAP, which has points only"
    assert "three, 30 %" in page and "Mistakes are not shown, as page.pictures is false." in page
    assert "<image" not in (tmp_path / "summary/mistakes.svg").read_text()


@pytest.mark.slow
@needs_chromium
def test_a_click_sorts_numbers_as_numbers_and_a_second_one_the_other_way_around(tmp_path: Path) -> None:
    values = ["9.5 ± 2.0\n[1, 99]", "", "10.1\n[3, 4]", "-3", "all", "1,000 (2)", "run 10", "run 9", "+2 %"]
    values += ["2 h 05 min", "3 min 20 s", "42 s"]
    rows = "".join(f"<tr><td>{value}</td><td data-value={len(value)}>1</td></tr>" for value in values)
    table = f"<table><thead><tr><th>x</th><th>y</th></tr></thead><tbody>{rows}</tbody></table>"
    use = """
    const [table] = document.querySelectorAll("table"), [x, y] = table.tHead.rows[0].cells;
    const said = [x, x, y].map(head => {
      head.querySelector("button").click();
      return [x.ariaSort, y.ariaSort, [...table.tBodies[0].rows].map(row => row.cells[0].textContent)];
    });
    console.log(JSON.stringify(said));"""
    script = Path(page_module.__file__).with_suffix(".js.j2").read_text()
    facts = '<table class="facts"><tbody><tr><th>a</th><td>b</td></tr></tbody></table>'
    rest = f'{facts}<div class="contents"><details></details></div>'
    (tmp_path / "page.html").write_text(f'<meta charset="utf-8">{table}{rest}<script>{script}{use}</script>')
    (line,) = visit(tmp_path / "page.html", tmp_path / "browser").console
    said = json.loads(re.findall(r'CONSOLE:\d+\] "(.*)", source:', line)[0])
    numbers = ["-3", "+2 %", values[0], values[2], "42 s", "3 min 20 s", "1,000 (2)", "2 h 05 min"]
    upwards = [*numbers, "all", "run 9", "run 10", ""]
    downwards = [*upwards[-2::-1], ""]
    assert said == [
        ["ascending", None, upwards],
        ["descending", None, downwards],
        [None, "ascending", sorted(downwards, key=len)],
    ]


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_opens_in_a_browser_without_request_or_error_and_no_table_is_wider(
    width: int, tmp_path: Path, resources: Path
) -> None:
    write_finetune(write_run(tmp_path, 0), "tuned", "pretrained", 0.85)
    _judge_per_image(tmp_path / "digits/simclr/seed0/finetune/tuned/metrics.json")
    summarize(settings(0, finetunes=("tuned",)), results=tmp_path, resources=resources, out=tmp_path)
    use = """
    const frames = [...document.querySelectorAll(".wide")].filter(one => one.innerText.startsWith("Fine-tuned"));
    const [beyond] = frames.map(one => one.scrollWidth - one.clientWidth);
    console.log(JSON.stringify([document.documentElement.scrollWidth - innerWidth, beyond]));"""
    page, end = (tmp_path / "summary.html").read_text(), "</body>"
    (tmp_path / "measured.html").write_text(f"<script>{use}</script>{end}".join(page.rsplit(end, 1)))
    seen = visit(tmp_path / "measured.html", tmp_path / "browser", width)
    (line,) = seen.console
    page_beyond, table_beyond = json.loads(re.findall(r'CONSOLE:\d+\] "(.*)", source:', line)[0])
    assert seen.requests == [] and page_beyond == 0
    assert table_beyond == 0 or width < 1280, "on a phone it scrolls in its frame"
    assert seen.picture.shape[1] == width
    assert (seen.picture[:, -3:] > 250).all(), "nothing is wider than the page"


def _judge_per_image(metrics: Path) -> None:
    """Add what a fine-tuning on tiles of unequal classes measures, over three draws."""
    content = json.loads(metrics.read_text())
    names = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "calibration_error", "calibrated_error")
    draws = []
    for number in range(3):
        shares = dict.fromkeys(names, 0.8 + number / 50)
        judged = {**content["draws"][0]["test"], **shares, "images": 1234}
        judged["parents"] = {"images": 50, "accuracy": 0.9 - number / 50, "balanced_accuracy": 0.8}
        draws.append({**content["draws"][0], "draw": number, "validation": judged, "test": judged})
    metrics.write_text(json.dumps({**content, "draws": draws}))


@pytest.mark.slow
@needs_chromium
@pytest.mark.skipif(not AXE.is_file(), reason="SIMCLR_TEST_DATA names no folder with axe.min.js")
@pytest.mark.parametrize(
    ("name", "width", "dark"),
    [("summary", 1280, False), ("summary", 390, True), ("digits/simclr/seed0/index", 390, False)],
)
def test_axe_finds_nothing_that_keeps_a_reader_out(
    name: str, width: int, dark: bool, tmp_path: Path, resources: Path
) -> None:
    write_metadata(write_run(tmp_path, 0), plate=0.7)
    write_finetune(tmp_path / "digits/simclr/seed0", "tuned", "pretrained", 0.85)
    asked = settings(0, finetunes=("tuned",)).model_copy(update={"metadata": ["plate"]})
    file = tmp_path / f"{name}.html"
    if name == "summary":
        summarize(asked, results=tmp_path, resources=resources, out=tmp_path)
    else:
        present(asked, results=tmp_path, resources=resources, out=file.parent)
    page, end = file.read_text(), "</body>"
    use = "axe.run(document).then(found => console.log(JSON.stringify(found.violations.map(one => one.id))))"
    before, after = page.rsplit(end, 1)
    checked = file.with_name("checked.html")
    checked.write_text(f"{before}<script>{AXE.read_text()}</script><script>{use}</script>{end}{after}")
    seen = visit(checked, tmp_path / "browser", width, dark=dark)
    (line,) = seen.console
    assert seen.requests == []
    assert re.findall(r'CONSOLE:\d+\] "(.*)", source:', line) == ["[]"]


def test_the_first_screen_explains_its_words(tmp_path: Path, resources: Path) -> None:
    write_run(tmp_path, 0)
    summarize(settings(0), results=tmp_path, resources=resources, out=tmp_path)
    page = (tmp_path / "summary.html").read_text()
    (words,) = re.findall(r'<dl class="meant">.*?</dl>', page)
    assert "<dt>SimCLR features</dt><dd>what the encoder" in words and "<dt>for free" not in words
    assert page.index("</h1>") < page.index('<dl class="meant">') < page.index("<h2")
    assert "mean ± deviation over seeds and draws of labels,\n[95 % interval], (number of values)</caption>" in page
