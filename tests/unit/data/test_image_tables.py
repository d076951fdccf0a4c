"""CSV files are read as spreadsheets write them, or refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from simclr_steps.data.image_tables import read_lines
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


def test_a_workbook_is_named(tmp_path: Path) -> None:
    (tmp_path / "images.xlsx").write_bytes(b"PK\3\4\x14\0")
    with pytest.raises(UserError, match=r"images\.xlsx is an Excel workbook, not a CSV file: save it as CSV"):
        next(read_lines(tmp_path / "images.xlsx"))
