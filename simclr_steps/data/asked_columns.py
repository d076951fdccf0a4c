"""Whether a data set's table has the columns that `metadata` names, and several values in each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from simclr_steps.data.image_index import goes_with_images
from simclr_steps.data.image_tables import read_lines, value_of
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.base import did_you_mean
from simclr_steps.settings.datasets import Dataset, FolderDataset


def require_table(asked: Sequence[str], name: str, dataset: Dataset) -> None:
    """Check, before anything runs, that a data set's table has the columns that are asked for.

    Raises
    ------
    UserError
        When the data set has no table, or the table lacks a column or has one in which there is nothing to tell apart.
    """
    if not asked:
        return
    table = Path(dataset.path) if isinstance(dataset, FolderDataset) else None
    if table is None or table.is_dir():
        raise UserError(
            f"metadata: datasets.{name} has no table and so no columns: give a CSV file as its path, or omit metadata"
        )
    columns = [column for column in next(read_lines(table))[1] if column == "group" or goes_with_images(column)]
    require_columns(asked, columns, str(table))
    for column in asked:
        require_different(column, _cells(table, column), str(table))


def _cells(table: Path, column: str) -> Iterator[str]:
    lines = read_lines(table)
    next(lines)
    return (value_of(cells[column]) for _, cells in lines)


def require_columns(asked: Sequence[str], columns: Iterable[str], where: str) -> None:
    """Raise UserError unless all that is asked for is among some columns."""
    columns = list(columns)
    for column in asked:
        if column not in columns:
            raise UserError(f'metadata: {where} has no column "{column}"; {did_you_mean(column, columns)}')


def require_different(column: str, cells: Iterable[str], where: str) -> None:
    """Raise UserError unless a column has several values, and one that repeats; "" is none. Reads no more than needed.

    Raises
    ------
    UserError
        When there is nothing to tell apart, or nothing to tell it by.
    """
    seen: set[str] = set()
    repeats = False
    for cell in filter(None, cells):
        repeats = repeats or cell in seen
        seen.add(cell)
        if repeats and len(seen) > 1:
            return
    what = "the same value in all rows" if len(seen) == 1 else "another value in each row" if seen else "no value"
    raise UserError(f'metadata: the column "{column}" of {where} has {what}: omit it, or name one whose values repeat')
