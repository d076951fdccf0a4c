"""Text as a CSV file, whatever it holds."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from simclr_steps.data.image_tables import as_cell


def csv_text(columns: Mapping[str, Sequence[str]], rows: Iterable[int] | None = None) -> str:
    """Return a CSV file of columns of equal length, or of some of their rows."""
    table = io.StringIO()
    minimal, all_quoted = (
        csv.writer(table, lineterminator="\n", quoting=quoting) for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)
    )
    minimal.writerow(columns)
    for row in range(len(next(iter(columns.values())))) if rows is None else rows:
        line = [cells[row] for cells in columns.values()]
        # Python 3.11 and 3.12 leave a carriage return unquoted, which ends a line when it is read.
        (all_quoted if any("\r" in cell for cell in line) else minimal).writerow(line)
    return table.getvalue()


def as_csv(table: pd.DataFrame) -> str:
    """Return a table as a CSV file in which names are marked that would be read as missing, as in table.csv."""
    columns = {}
    for name, values in table.items():
        cells = zip(values.astype(str), values.isna(), strict=True)
        mark = str if name == "source" else as_cell
        columns[str(name)] = ["" if missing else mark(text) for text, missing in cells]
    return csv_text(columns)


def as_list(texts: Iterable[str]) -> str:
    """Return texts as a list of JSON, for a cell of a table."""
    return json.dumps(list(texts), ensure_ascii=False)
