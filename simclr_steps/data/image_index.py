"""Which images a folder has, or a CSV file lists, with their labels, splits and groups."""

from __future__ import annotations

import difflib
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from simclr_steps.data.boxes import Box, box_in
from simclr_steps.data.image_files import find_images, is_passed_over
from simclr_steps.data.image_tables import MISSING, OF_CHANNEL, names_files, read_lines, value_of
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.settings.base import did_you_mean

SPLIT_OF = {
    "train": "train",
    "training": "train",
    "dev": "validation",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
    "unlabeled": "unlabeled",
    "unlabelled": "unlabeled",  # users may spell as the British do
}
COLUMNS = ("path", "label", "split", "group")
_OF_RESULTS = frozenset(["row", "source", "label", "class", "group", "prediction", "predicted_class", "x", "y"])
_PROBABILITY = "probability_"  # begins the names of more columns of results


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image that was found: its path below the data set's folder, its class or "", its split, its group or "".

    `of_channels` are the paths of its channels, where each has a file; the first of them names the image. `further` are
    the cells of the further columns that were asked for, "" where there is nothing. `box` is the part of the file that
    is the image, if it is not all of it, and `line` the one of the CSV file that lists the part. `place` is the path of
    the file in one spelling, where a CSV file may have several.
    """

    name: str
    label: str
    split: str
    group: str = ""
    of_channels: tuple[str, ...] = ()
    further: tuple[str, ...] = ()
    box: Box | None = None
    line: int = 0
    place: str = ""

    @property
    def title(self) -> str:
        """What names the image in all results; no other image has it."""
        return f"{self.name}#{self.box}" if self.box and self.box.width else self.name

    @property
    def parent(self) -> str:
        """The path of the file that it is a part of, in one spelling."""
        return self.place or self.name


def index_folder(folder: Path) -> list[ImageFile]:
    """Return the images below a folder, sorted by path; hidden files and other files are left out.

    Sub-folders are classes; or, if all are named like splits, they hold classes, and `unlabeled` images at any depth.
    Images beside such sub-folders have no label.

    Raises
    ------
    UserError
        When a class, a split or the whole folder has no image.
    """
    images = find_images(folder)
    by_split = _holds_splits(folder)
    expected = _sub_folders(folder)
    if by_split:
        expected += [
            inner for split in expected if SPLIT_OF[split.name.lower()] != "unlabeled" for inner in _sub_folders(split)
        ]
    parents = {Path(parent) for parent in {os.path.dirname(image) for image in images}}  # noqa: PTH120 - of each image
    occupied = {folder / above for parent in parents for above in (parent, *parent.parents)}
    for empty in sorted(set(expected) - occupied):
        raise UserError(f"path: {empty} contains no images: add some or delete it")
    return [_classify(image, by_split) for image in images]


def _classify(image: str, by_split: bool) -> ImageFile:
    """Return an image by its path, relative to the data set's folder."""
    split, inner = "train", image.split("/")
    if by_split and len(inner) > 1:
        split, inner = SPLIT_OF[inner[0].lower()], inner[1:]
    labeled = len(inner) > 1 and split != "unlabeled"
    return ImageFile(image, sys.intern(inner[0]) if labeled else "", split)


def _holds_splits(folder: Path) -> bool:
    """Return whether all sub-folders are named like splits; raise UserError if only some are."""
    names = {sub_folder.name for sub_folder in _sub_folders(folder)}
    like_splits = sorted(name for name in names if name.lower() in SPLIT_OF)
    others = sorted(names.difference(like_splits))
    if like_splits and others:
        raise UserError(
            f"path: {folder} contains {like_splits[0]}, named like a split, next to {others[0]}, which is not one: "
            "keep only splits there (train, val, test, unlabeled), or move all classes into a new train folder"
        )
    return bool(names) and not others


def _sub_folders(folder: Path) -> list[Path]:
    return [
        path
        for path in folder.iterdir()
        if path.is_dir() and not is_passed_over(path.name) and not _only_leads_back(path)
    ]


def _only_leads_back(folder: Path) -> bool:
    """Return whether a folder is a link to one that it lies in, or holds such links and nothing else."""
    if _is_link_back(folder):
        return True
    with os.scandir(folder) as entries:
        first = next((entry for entry in entries if not is_passed_over(entry.name)), None)
        return first is not None and all(
            is_passed_over(entry.name) or _is_link_back(Path(entry.path)) for entry in chain([first], entries)
        )


def _is_link_back(path: Path) -> bool:
    return path.is_symlink() and path.is_dir() and path.parent.resolve().is_relative_to(path.resolve())


def index_table(table: Path, columns: Sequence[str] = COLUMNS, further: Sequence[str] = ()) -> list[ImageFile]:
    """Return the images that a CSV file lists, with the columns path, label, split and group, all but path if need be.

    Of those, only the ones that are among `columns` are read. `further` are columns to keep as text.

    Raises
    ------
    UserError
        When a column, a file or a split is wrong, when a file is listed twice, or when only some lines have a group,
        naming the line.
    """
    line_of: dict[tuple[str, Box | None], int] = {}
    files: list[ImageFile] = []
    known: dict[str, str] = {}  # as equal texts of many rows are kept once
    missing = Counter[tuple[str, str]]()
    first_line = 0
    here = os.path.abspath(table.parent)  # noqa: PTH100 - keeps links as they are
    folder = str(table.parent)  # text, as a million Paths would take more than all else
    lines = read_lines(table)
    names = list(next(lines)[1])
    _check_columns(table, names, columns)
    told = [name for name in names if name in further or (name in ("label", "group") and name in columns)]
    for line, cells in lines:
        for name in told:
            if cells[name] in MISSING:
                missing[name, cells[name]] += 1
            cells[name] = value_of(cells[name])
        file = _listed(folder, table, line, {column: cells[column] for column in columns if column in cells})
        if further:
            file = replace(file, further=tuple(known.setdefault(cells[column], cells[column]) for column in further))
        place = os.path.normpath(os.path.join(here, file.name))  # noqa: PTH118
        if (spelled := place.removeprefix(f"{here}/")) != file.name:
            file = replace(file, place=spelled)
        first = line_of.setdefault((place, file.box), line)
        if first != line:
            raise UserError(f"path: {table} lists {file.title} on line {first} and on line {line}: keep one")
        if files and bool(file.group) != bool(files[0].group):
            without = line if files[0].group else first_line
            raise UserError(
                f"path: {table} line {without} has no group, but others have one: fill it in, with a unique name if "
                "the image belongs to no other group"
            )
        files.append(file)
        first_line = first_line or line
    if not files:
        raise UserError(f"path: {table} lists no images: add some")
    if missing:
        cells_by_column = ", ".join(f'{name} "{cell}" ({count})' for (name, cell), count in missing.items())
        log.warning("cells read as missing, as pandas does: %s; rename those that are values", cells_by_column)
    return files


def other_columns(table: Path, read: Sequence[str]) -> list[str]:
    """Return the columns of a CSV file that are not among those that are read."""
    return [column for column in next(read_lines(table))[1] if column and column not in read]


def goes_with_images(column: str) -> bool:
    """Return whether a column of a CSV file that is not read otherwise can be a column of results."""
    own = (*COLUMNS, *_OF_RESULTS, "")
    return column not in own and not column.startswith((_PROBABILITY, OF_CHANNEL))


def further_columns(table: Path, read: Sequence[str]) -> list[str]:
    """Return the columns of a CSV file, beside those that are read, that can go with the images into all results."""
    others = other_columns(table, read)
    taken = [column for column in others if not goes_with_images(column)]
    if taken:
        log.info("columns left out: %s (results have such columns of their own; rename them here)", ", ".join(taken))
    kept = [column for column in others if column not in taken]
    if kept:
        log.info("further columns, which go with the images into all results: %s", ", ".join(kept))
    return kept


def channel_columns(table: Path, channels: int, names: Sequence[str] | None) -> list[str] | None:
    """Return the names of the channels that have a column of files each, or None if there are no such columns.

    Raises
    ------
    UserError
        When the settings name other channels, or count others.
    """
    columns = list(next(read_lines(table))[1])
    found = [column.removeprefix(OF_CHANNEL) for column in columns if column.startswith(OF_CHANNEL)]
    slips = [name for name in columns if name.lower().startswith(OF_CHANNEL) and not name.startswith(OF_CHANNEL)]
    if slips and "path" not in columns:
        meant = f"{OF_CHANNEL}{slips[0][len(OF_CHANNEL) :]}"
        raise UserError(f'path: {table} line 1 has the unknown column "{slips[0]}"; did you mean "{meant}"?')
    if not found:
        return None
    if "path" in columns:
        raise UserError(f"path: {table} line 1 has the columns path and {OF_CHANNEL}{found[0]}: keep one or the other")
    for name in names or []:
        if name not in found:
            raise UserError(f'channels: {table} line 1 has no column "{OF_CHANNEL}{name}"; {did_you_mean(name, found)}')
    if not names and channels != len(found):
        raise UserError(
            f"channels: {table} line 1 has files of {len(found)} channels, but {channels} are asked for: write "
            f"`channels: [{', '.join(found)}]`"
        )
    return list(names or found)


def _check_columns(table: Path, columns: Sequence[str], read: Sequence[str]) -> None:
    """Raise UserError when there are no paths, or a column's name looks like a slip; other columns may be there."""
    for missing in (column for column in read if column not in columns):
        others = {
            column.lower(): column for column in columns if column not in COLUMNS and not column.startswith(OF_CHANNEL)
        }
        for near in difflib.get_close_matches(missing, others, n=1, cutoff=0.8):
            raise UserError(f'path: {table} line 1 has the unknown column "{others[near]}"; did you mean "{missing}"?')
    if "path" not in columns and not any(column.startswith(OF_CHANNEL) for column in read):
        raise UserError(f"path: {table} line 1 has no path column: add it to {columns or 'the file'}")


def _listed(folder: str, table: Path, line: int, cells: dict[str, str]) -> ImageFile:
    """Return the image of a line of a CSV file, whose files are below `folder`."""
    where = f"path: {table} line {line}"
    _, label, split, group = (cells.get(column, "") for column in COLUMNS)
    paths = {column: cell for column, cell in cells.items() if names_files(column)}
    for column, name in paths.items():
        if not name:
            raise UserError(f"{where} has no {column}: fill it in or delete the line")
        if not os.path.isfile(os.path.join(folder, name)):  # noqa: PTH113, PTH118 - takes a path of any length
            raise UserError(
                f"{where} names {name}, which is missing: fix the path (relative to {Path(folder).resolve()})"
            )
    if split and split.lower() not in SPLIT_OF:
        raise UserError(f'{where} has the unknown split "{split}"; {did_you_mean(split, SPLIT_OF)}')
    split = SPLIT_OF[split.lower() or "train"]
    names = tuple(paths.values())
    label, group = "" if split == "unlabeled" else sys.intern(label), sys.intern(group)
    box = box_in(cells, where)
    of_channels = () if "path" in paths else names
    return ImageFile(names[0], label, split, group, of_channels, box=box, line=line if box else 0)
