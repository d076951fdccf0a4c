from __future__ import annotations

import csv
import io

from simclr_steps.data.csv_text import csv_text

COLUMNS = {"path": ["a.png", "b\r.png", 'c"\n,.png'], "label": ["", "cat", "\r"]}


def test_any_text_is_read_as_it_was() -> None:
    read = list(csv.reader(io.StringIO(csv_text(COLUMNS), newline="")))
    assert read == [["path", "label"], ["a.png", ""], ["b\r.png", "cat"], ['c"\n,.png', "\r"]]


def test_some_rows_are_written_in_their_order() -> None:
    assert csv_text(COLUMNS, [1, 0]) == 'path,label\n"b\r.png","cat"\na.png,\n'
