"""CSV files are read as spreadsheets write them, or refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from simclr_steps.data.image_tables import MISSING, as_cell, read_lines, value_of
from simclr_steps.machine.errors import UserError


@pytest.mark.parametrize(
    "text",
    [
        "path;label;split\na.png;cat, big;dev\n",
        "path\tlabel\tsplit\na.png\tcat, big\tdev\n",
        "sep=;\r\npath;label;split\r\na.png;cat, big;dev\r\n",
        'path,label,split\r\na.png,"cat, big",dev\r\n,,\r\n\r\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_tables_of_spreadsheets_are_read(tmp_path: Path, text: str, encoding: str) -> None:
    (tmp_path / "images.csv").write_text(text, encoding=encoding, newline="")
    _, (_, cells) = read_lines(tmp_path / "images.csv")
    assert cells == {"path": "a.png", "label": "cat, big", "split": "dev"}


@pytest.mark.parametrize(
    "value",
    ["cat", "", "None", '"None"', '""None""', '"', '""', '"cat"', '" cat"', " cat", " ", 'a "b", c', *sorted(MISSING)],
)
def test_any_value_can_be_written_so_that_it_is_read_as_it_is(value: str) -> None:
    assert value_of(as_cell(value).strip()) == value


def test_cells_of_users_are_read_as_pandas_reads_them() -> None:
    for cell in MISSING:
        assert value_of(cell) == ""
    for cell in ("cat", '"cat"', "none", "Na", '"', '""', "'None'"):
        assert value_of(cell) == as_cell(cell) == cell


def test_a_workbook_is_named(tmp_path: Path) -> None:
    (tmp_path / "images.xlsx").write_bytes(b"PK\3\4\x14\0")
    with pytest.raises(UserError, match=r"images\.xlsx is an Excel workbook, not a CSV file: save it as CSV"):
        next(read_lines(tmp_path / "images.xlsx"))
