"""CSV files as people and their programs write them: separators, encodings, lines that do not fit."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from simclr_steps.data.file_kinds import ARCHIVE, ARRAY, ARRAYS, EMPTY, WORKBOOK, converter_of, kind_of
from simclr_steps.machine.errors import UserError

_ADVICE = {
    WORKBOOK: "save it as CSV UTF-8",
    ARCHIVE: "unpack it and name its folder",
    ARRAY: "write `source: arrays` for arrays",
    ARRAYS: "write `source: arrays` for arrays",
}
MISSING = frozenset(  # what pandas, R and Excel write for an empty cell, and pandas reads as one
    {
        *("nan", "NaN", "NAN", "Nan", "-nan", "-NaN", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
        *("NA", "<NA>", "<na>", "N/A", "n/a", "#NA", "#N/A", "#n/a", "#N/A N/A"),
        *("None", "NULL", "null"),
    }
)
OF_CHANNEL = "path."  # begins the name of a column with the files of a channel
_SEPARATORS = ",;\t"
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def names_files(column: str) -> bool:
    """Return whether a column holds the paths of images, or of one of their channels."""
    return column == "path" or column.startswith(OF_CHANNEL)


def as_cell(value: str) -> str:
    """Return what a cell has to hold for `value_of` to return a value: the value, or the value within quotation marks.

    Such marks are part of the text, beside those of CSV itself, so that they outlive pandas and spreadsheets.
    """
    return f'"{value}"' if _is_misread(value) else value


def value_of(cell: str) -> str:
    """Return what a cell of text says: nothing where it is missing, and what is within marks where `as_cell` set them.

    Marks around anything else are the value's own.
    """
    if cell in MISSING:
        return ""
    return cell[1:-1] if _is_marked(cell) and _is_misread(cell[1:-1]) else cell


def _is_misread(value: str) -> bool:
    return value in MISSING or value != value.strip() or (_is_marked(value) and _is_misread(value[1:-1]))


def _is_marked(text: str) -> bool:
    return len(text) > 1 and text[0] == text[-1] == '"'


def read_lines(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the lines of a CSV file, each with its number and its cells by the columns' names; first that of the names.

    Spaces around names and cells do not count, nor do lines without any cell. What separates the cells is a comma, or
    the semicolon or tab that the first line has instead, or that Excel's line sep= names.

    Raises
    ------
    UserError
        When the file is no CSV file, a column appears twice, or a line has a NUL character, or more or fewer cells than
        the first.
    """
    try:
        with _open(table) as stream:
            for number, cells in _lines(table, stream):
                if any("\0" in cell for cell in cells.values()):
                    raise UserError(f"path: {table} line {number} contains a NUL character: save it again as CSV UTF-8")
                yield number, cells
    except (csv.Error, UnicodeError) as error:
        raise UserError(f"path: {table} is not a CSV file in UTF-8 ({error}): save it as one") from error


def _open(table: Path) -> TextIO:
    if converter := converter_of(table):
        raise UserError(
            f"path: {table} is no CSV file, and not read as an image either: {converter}, and name the folder"
        )
    if (kind := kind_of(table)) not in (None, EMPTY):
        advice = _ADVICE.get(kind, "name the folder that holds the images")
        raise UserError(f"path: {table} is {kind}, not a CSV file: {advice}")
    with table.open("rb") as file:
        start = file.read(4)
    encoding = next((name for mark, name in _MARKS.items() if start.startswith(mark)), "utf-8")
    return table.open(encoding=encoding, newline="")


def _lines(table: Path, stream: TextIO) -> Iterator[tuple[int, dict[str, str]]]:
    first, skipped = stream.readline(), 0
    separator = max(_SEPARATORS, key=first.count)
    if first.lower().startswith("sep=") and len(first.strip("\r\n")) == len("sep=,"):
        separator, first, skipped = first[4], stream.readline(), 1
    names = [name.strip() for name in next(csv.reader([first], delimiter=separator), [])]
    for name in names:
        if name and names.count(name) > 1:
            raise UserError(f'path: {table} line {1 + skipped} has the column "{name}" twice: keep one')
    yield 1 + skipped, {name: name for name in names}
    lines = csv.reader(stream, delimiter=separator)
    for cells in lines:
        number = lines.line_num + 1 + skipped
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(names):
            raise UserError(
                f"path: {table} line {number} has a different number of cells ({len(cells)}) than line {1 + skipped} "
                f'({len(names)}): quote cells that contain "{separator}", or add what is missing'
            )
        yield number, {name: cell.strip() for name, cell in zip(names, cells, strict=True)}
