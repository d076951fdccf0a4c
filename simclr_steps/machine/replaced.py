"""What a step may replace: what it or nobody wrote, and never what it reads."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from simclr_steps.machine.errors import UserError

_LEFT_BY_OTHERS = (".snakemake_timestamp", ".DS_Store", ".nfs*", ".*.lock", ".*.partial-*")  # the last by a killed step


def check_not_read(out: Path, *inputs: Path | None) -> None:
    """Raise UserError when what is written to `out`, a file or a folder, would take the place of an input."""
    for file in filter(None, inputs):
        if file.resolve() == out.resolve():
            raise UserError(f"--out: {out} is read as well, and would be replaced: give another name")
        if file.resolve().is_relative_to(out.resolve()):
            raise UserError(f"--out: {out} would be replaced, and with it {file}, which is read: write elsewhere")


@dataclass(frozen=True)
class Own:
    """What the folder that a step makes can hold, by which it is told from a folder of the user."""

    files: tuple[str, ...]  # patterns of the files' paths in the folder; no * stands for a slash
    step: str = ""
    record: str = ""  # the JSON file that tells the step, "" where the names of the files tell enough
    alone: tuple[str, ...] = ()  # patterns of further files that may be there without the record

    def first_foreign(self, folder: Path) -> PurePath | None:
        """Return the path of some file in a folder that is none of these, if there is one."""
        return next((path for path in _paths(folder) if not _is_one(path, (*self.files, *self.alone))), None)

    def first_unknown(self, folder: Path) -> PurePath | None:
        """Return the path of some file in a folder without the record, if there is one that demands the record."""
        if not self.record or _is_record(folder / self.record, self.step):
            return None
        return next((path for path in _paths(folder) if not _is_one(path, self.alone)), None)


def check_replaceable(path: Path, own: Own | None) -> None:
    """Raise UserError unless a folder may take the place of `path`, which must not hold any file of the user.

    Parameters
    ----------
    own
        All that the folder can hold: nothing is replaced that holds something else, at any depth. None if it lies
        where no user writes.
    """
    check_folder(path)
    if path.is_symlink():
        raise UserError(f"{path} is a link, which a folder cannot replace: name the folder itself")
    if not own:
        return
    if foreign := own.first_foreign(path):
        raise UserError(
            f"{path} holds {foreign}, which is not from this step and would be deleted: move it, or write elsewhere"
        )
    if unknown := own.first_unknown(path):
        raise UserError(
            f"{path} holds {unknown}, but no {own.record} that shows it is from {own.step}, and would be deleted: move "
            "it, or write elsewhere"
        )


def check_folder(path: Path) -> None:
    """Raise UserError when `path` is neither a folder nor absent."""
    if os.path.lexists(path) and not path.is_dir():
        raise UserError(f"{path} is not a folder: remove it, or write elsewhere")


def check_file(path: Path) -> None:
    """Raise UserError when `path` is a folder."""
    if path.is_dir():
        raise UserError(f"{path} is a folder: give the name of a file")


def check_files(folder: Path, names: Collection[str], sign: str) -> None:
    """Raise UserError when a step would replace files of the user in a folder that it shares with others.

    Parameters
    ----------
    names
        The files that it writes.
    sign
        The one that it writes first: beside a file of that name, the others are taken for the step's own, even when it
        was killed while it wrote them. It is replaced in any case.
    """
    check_folder(folder)
    taken = [name for name in names if os.path.lexists(folder / name)]
    if taken and not (folder / sign).exists():
        raise UserError(
            f"{folder / taken[0]} is not from this step, as there is no {sign} beside it, and would be replaced: move "
            "it, or write elsewhere"
        )


def _paths(folder: Path) -> Iterator[PurePath]:
    """Yield the paths in a folder of its files and links at any depth, without what may be left anywhere."""
    for path in folder.rglob("*"):
        within = path.relative_to(folder)
        is_file = path.is_symlink() or not path.is_dir()
        if is_file and not any(fnmatchcase(name, known) for name in within.parts for known in _LEFT_BY_OTHERS):
            yield within


def _is_one(path: PurePath, patterns: Collection[str]) -> bool:
    """Return whether a path is of one of the patterns, name by name."""
    names = [pattern.split("/") for pattern in patterns]
    return any(len(of) == len(path.parts) and all(map(fnmatchcase, path.parts, of)) for of in names)


def _is_record(file: Path, step: str) -> bool:
    """Return whether a file is JSON that holds the record of a step."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return bool(content.get("run", content)["step"] == step)
    except (OSError, ValueError, RecursionError, AttributeError, LookupError, TypeError):
        return False
