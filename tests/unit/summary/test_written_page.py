"""Of more pretrainings than one page holds, the best are shown in full, and the others have links to their pages."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from simclr_steps.settings.runs import SummarySettings
from simclr_steps.steps.summarize import summarize
from tests.unit.browser import needs_chromium, visit
from tests.unit.conftest import WritePacked
from tests.unit.summary.written_results import settings, write_finetune, write_run, write_sweep


@pytest.fixture(params=["test and validation"])
def summary(tmp_path: Path, write_packed: WritePacked, request: pytest.FixtureRequest) -> Path:
    """The page of three pretrainings where it holds one, of which the best comes last, by these splits."""
    resources, runs = write_packed(name="digits").parent, []
    for pretrain, accuracy in (("t=0.1", 0.4), ("t=0.2", 0.3), ("best", 0.9)):
        folder = write_run(tmp_path, 0, pretrain=pretrain)
        linear = json.loads((folder / "evaluate/linear.json").read_text())
        rows = [{**row, "accuracy": accuracy} for row in linear["results"] if row["split"] in request.param]
        linear["results"] = rows
        (folder / "evaluate/linear.json").write_text(json.dumps(linear))
        write_finetune(folder, "tuned", "pretrained", accuracy)
        runs += settings(0, finetunes=("tuned",), pretrain=pretrain).runs
    asked = SummarySettings(runs=runs, most_in_full=1)
    summarize(asked, results=tmp_path, resources=resources, out=tmp_path)
    return tmp_path / "summary.html"


def test_the_others_are_lines_with_links_and_in_no_plot(summary: Path) -> None:
    page = summary.read_text()
    main = page.split("<main>")[1]
    assert re.search(r'<h2 id="results-1">digits, best</h2>', main)
    assert re.findall(r'<li id="results-\d">(digits, t=0.\d): ', main) == ["digits, t=0.1", "digits, t=0.2"]
    links = re.findall(r'<a data-beside href="([^"]*)">seed 0</a>', main)
    assert [unquote(link) for link in links] == [
        f"digits/{name}/seed0/index.html" for name in ("best", "t=0.1", "t=0.2")
    ]
    assert re.findall(r"Pictures of (digits, \w+), seed 0", main) == ["digits, best"]
    anchors = re.findall(r'<a href="#([^"]*)"', page)
    assert set(anchors) <= set(re.findall(r'id="([^"]*)"', page))
    compared = re.findall(r"<h2 id=\"compared-1\">.*?<h2", main, re.DOTALL)[0]
    assert re.search(r"<t[hd][^>]*>t=0\.1</t[hd]>", compared)
    for kind in ("h2", "h3", "summary", "details", "figcaption", "figure"):
        named = [text for text in re.findall(rf"<{kind}\b.*?</{kind}>", main, re.DOTALL) if "t=0.1" in text]
        assert not named, kind
    for name in ("label_efficiency", "history", "monitors", "mistakes", "finetune_history"):
        drawn = (summary.parent / f"summary/{name}.svg").read_text()
        assert "1 of 3 pretrainings: the best" in drawn and "t=0.1" not in drawn, name


@pytest.mark.parametrize("summary", ["test"], indirect=True)
def test_where_the_test_split_alone_has_accuracies_the_first_of_the_config_is_shown(summary: Path) -> None:
    page = summary.read_text()
    assert '<h2 id="results-1">digits, t=0.1</h2>' in page and '<li id="results-3">digits, best: ' in page
    assert "Of 3 pretrainings, these are the first in the config, as there are no accuracies on a hold-out" in page
    assert "best pretraining" not in page and "these are the best" not in page
    assert "1 of 3 pretrainings: the first in the config" in (summary.parent / "summary/history.svg").read_text()


@pytest.mark.slow
@needs_chromium
def test_in_a_report_the_names_are_no_links(summary: Path) -> None:
    use = "<script>console.log(document.querySelectorAll(`[data-beside]`).length)</script></body>"
    page = summary.read_text().replace("</body>", use)
    beside, report = (summary.with_name(f"{name}.html") for name in ("beside", "report"))
    beside.write_text(page)
    report.write_text(f'<iframe src="data:text/html;base64,{base64.b64encode(page.encode()).decode()}"></iframe>')
    for file, links in ((beside, 3), (report, 0)):
        (line,) = visit(file, summary.with_name(f"browser of {file.stem}")).console
        assert f'"{links}"' in line, file.name


@pytest.mark.slow(60)
def test_the_page_of_a_hundred_runs_is_below_three_megabytes(tmp_path: Path, write_packed: WritePacked) -> None:
    resources, asked = write_packed(name="digits").parent, write_sweep(tmp_path, 100)
    summarize(asked, results=tmp_path, resources=resources, out=tmp_path)
    page = (tmp_path / "summary.html").read_text()
    assert page.count("Images by predicted class") == 5, "of the best five"
    assert (tmp_path / "summary.html").stat().st_size < 3e6
