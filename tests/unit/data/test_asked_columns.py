"""Columns that `metadata` names are checked before anything runs, each mistake in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from simclr_steps.data.asked_columns import require_table
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.datasets import Dataset

LINES = "path,label,group,plate,same,own,empty,some,x\n" + "".join(
    f"{row}.png,a,g{row // 2},{row % 3},one,{row},nan,{row if row < 1 else ''},{row % 2}\n" for row in range(6)
)


def required(tmp_path: Path, *asked: str) -> None:
    (tmp_path / "cells.csv").write_text(LINES)
    block: dict[str, Any] = {"source": "folder", "path": str(tmp_path / "cells.csv"), "image_size": 8}
    require_table(asked, "cells", TypeAdapter(Dataset).validate_python(block))


def test_columns_whose_values_differ_and_repeat_are_accepted(tmp_path: Path) -> None:
    required(tmp_path, "plate", "group")
    required(tmp_path)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("plat", r'cells\.csv has no column "plat"; did you mean "plate"\?'),
        ("x", r'has no column "x"; available: empty, group, own, plate, same, some'),
        ("label", r'has no column "label"'),
        ("same", r'the column "same" of .*cells\.csv has the same value in all rows: omit it, or name one'),
        ("some", "has the same value in all rows"),
        ("own", "has another value in each row"),
        ("empty", "has no value"),
    ],
)
def test_a_column_in_which_there_is_nothing_to_tell_apart_is_named(tmp_path: Path, asked: str, sentence: str) -> None:
    with pytest.raises(UserError, match=f"^metadata: .*{sentence}"):
        required(tmp_path, "plate", asked)


@pytest.mark.parametrize("block", [{"source": "digits"}, {"source": "folder", "path": ".", "image_size": 8}])
def test_a_source_without_a_table_has_no_columns(block: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"^metadata: datasets\.cells has no table and so no columns: give a CSV file"):
        require_table(["plate"], "cells", TypeAdapter(Dataset).validate_python(block))
