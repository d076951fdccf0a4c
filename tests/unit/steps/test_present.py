"""The page of a run lies beside its results, shows them as the summary does, and nothing of other runs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.settings.runs import GridPoint
from simclr_steps.steps.present import present
from tests.unit.conftest import WritePacked
from tests.unit.summary.written_results import settings, write_finetune, write_run


def test_the_page_of_a_run_of_a_grid_shows_it_alone(tmp_path: Path, write_packed: WritePacked) -> None:
    resources = write_packed(name="digits").parent
    folder = write_run(tmp_path, 3, pretrain="simclr-t=0.1")
    write_finetune(folder, "tuned", "pretrained", 0.85)
    asked = settings(3, finetunes=("tuned",), pretrain="simclr-t=0.1")
    run = asked.runs[0].model_copy(update={"grids": [GridPoint(pretrain="simclr", values={"t": 0.1})]})
    (tmp_path / "summary.html").touch()
    present(asked.of_one(run), results=tmp_path, resources=resources, out=folder)
    page = (folder / "index.html").read_text()
    assert "<h1>digits, simclr-t=0.1, seed 3</h1>" in page
    assert "</span>\n1 seed" not in page and "⚠ Seeds" not in page, "a page of one run cannot have more"
    assert "Leaderboard" not in page and 'id="sweep"' not in page and "Other pretrainings" not in page
    for name in ("label_efficiency", "confusion", "mistakes", "monitors", "history", "finetune_history"):
        assert f'id="{name}"' in page
    links = [link for link in re.findall(r'(?:href|src)="([^"#][^"]*)"', page) if not link.startswith("data:")]
    assert links == ["../../../summary.html", "umap/backbone.png", "umap/map.html"]
    assert all((folder / unquote(link)).exists() for link in links)
    assert {path.name for path in folder.glob("*.*")} == {"index.html", "index.json"}, "the plots are in the page"
    record = json.loads((folder / "index.json").read_text())
    assert record["step"] == "present" and record["settings"] == asked.of_one(run).model_dump(mode="json")


def test_several_runs_are_refused(tmp_path: Path) -> None:
    asked = settings(0, 1, finetunes=())
    with pytest.raises(UserError, match="^runs: a page shows one run, but there are 2: give one$"):
        present(asked, results=tmp_path, resources=tmp_path, out=tmp_path)
    assert not (tmp_path / "index.html").exists()
