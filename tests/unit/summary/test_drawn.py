"""Plots are of the pretrainings that are shown in full, and of all grids."""

from __future__ import annotations

from pathlib import Path

from simclr_steps.settings.runs import GridPoint, SummarySettings
from simclr_steps.summary.collected import collect
from simclr_steps.summary.drawn import draw, mistakes_of
from tests.unit.conftest import WritePacked
from tests.unit.summary.written_results import settings, write_run


def test_the_others_are_in_the_plot_of_the_grid_only(tmp_path: Path, write_packed: WritePacked) -> None:
    resources = write_packed(name="digits").parent
    runs = []
    for temperature in (0.1, 0.5):
        name = f"t={temperature}"
        write_run(tmp_path, 0, pretrain=name)
        point = GridPoint(pretrain="simclr", values={"temperature": temperature})
        runs.append(settings(0, pretrain=name).runs[0].model_copy(update={"grids": [point]}))
    found = collect(SummarySettings(runs=runs), tmp_path, resources)
    figures = draw(found, found.only(["digits, t=0.5"]), mistakes_of(found))
    assert set(figures) == {"label_efficiency", "history", "monitors", "sweep"}
    titles = [axes.get_title() for axes in figures["label_efficiency"].axes]
    assert titles == ["digits, t=0.5"] and figures["history"].get_suptitle() == "1 of 2 pretrainings: the best"
    assert figures["sweep"].get_suptitle() == ""
    whole = draw(found, found, {})
    assert len(whole["label_efficiency"].axes) == 2 and whole["history"].get_suptitle() == ""
