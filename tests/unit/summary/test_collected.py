"""What is known of runs can be narrowed to some pretrainings."""

from __future__ import annotations

from pathlib import Path

import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.settings.runs import SummarySettings
from simclr_steps.summary.collected import collect
from tests.unit.conftest import WritePacked
from tests.unit.summary.written_results import settings, write_run


def test_only_some_pretrainings_are_kept_with_their_rows(tmp_path: Path, write_packed: WritePacked) -> None:
    resources = write_packed(name="digits").parent
    for pretrain in ("one", "other"):
        write_run(tmp_path, 0, pretrain=pretrain)
    both = SummarySettings(runs=[settings(0, pretrain=name).runs[0] for name in ("one", "other")])
    found = collect(both, tmp_path, resources)
    assert [one.title for one in found.headlines] == ["digits, one", "digits, other"]
    kept = found.only(["digits, other"])
    assert set(kept.table["pretrain"]) == {"other"} and len(kept.table) == len(found.table) / 2
    assert [run.run.pretrain for run in kept.runs] == [run.pretrain for run in kept.settings.runs] == ["other"]


def test_without_runs_there_is_nothing_to_summarize(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there are no runs to summarize"):
        collect(SummarySettings(runs=[]), tmp_path, tmp_path)
