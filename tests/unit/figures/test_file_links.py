from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest

from simclr_steps.figures.file_links import link_to

NAMES = ["a b#?%41.png", "q\"'<&>.png", "ä\n.png", "javascript:alert(1)", os.fsdecode(b"\xff.png")]


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_to_files_of_any_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, page = tmp_path / "project", tmp_path / "project/results/explore"
    for folder in (project / "images", page, tmp_path / "elsewhere"):
        folder.mkdir(parents=True)
        (folder / name).write_text("image")
    monkeypatch.chdir(project)
    inside = link_to(Path("images") / name, Path("results/explore"))
    assert inside and inside.startswith("../../images/") and not set(inside) & set(" \"'<>\n#?")
    assert (page / os.fsdecode(unquote_to_bytes(inside))).samefile(project / "images" / name)
    beside = link_to(page / name, page)
    assert beside and beside.startswith("./")
    outside = link_to(tmp_path / "elsewhere" / name, page)
    assert outside and outside.startswith("file:///")
    assert Path(os.fsdecode(unquote_to_bytes(outside.removeprefix("file://")))).samefile(tmp_path / "elsewhere" / name)
    assert link_to(Path("../elsewhere") / name, page) == outside


def test_a_page_outside_the_project_has_absolute_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project/a.png").write_text("image")
    monkeypatch.chdir(tmp_path / "project")
    assert link_to(Path("a.png"), tmp_path / "results") == f"file://{tmp_path}/project/a.png"


def test_there_is_no_link_to_what_is_no_file(tmp_path: Path) -> None:
    assert link_to(tmp_path / "tile of a slide", tmp_path) is None
    assert link_to(tmp_path, tmp_path) is None
