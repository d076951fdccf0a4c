"""Files that appear whole or not at all."""

from __future__ import annotations

import csv
import errno
import fcntl
import glob
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from simclr_steps.machine.errors import UserError
from simclr_steps.machine.places import require_claim
from simclr_steps.machine.replaced import Own, check_file, check_replaceable


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield an empty file beside `path`, to write to; it takes the place of `path` when the block ends well.

    Raises
    ------
    UserError
        When the disk is full, or `path` is a folder or belongs to a step that was started later. A block that fails
        leaves nothing behind, and what a killed one left is removed by the next.
    """
    check_file(path)
    with _partial(path, Path.touch) as partial:
        yield partial
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        require_claim(path)
        partial.replace(path)


def link_or_copy(file: Path, path: Path) -> None:
    """Make a file appear under another name, which shares its space where the file system has hard links."""
    try:
        os.link(file, path)
    except OSError:  # another file system, or one without
        shutil.copyfile(file, path)


@contextmanager
def whole_folder(path: Path, own: Own | None) -> Iterator[Path]:
    """Yield an empty folder beside `path`; it takes the place of `path` when the block ends well.

    Parameters
    ----------
    own
        As in `check_replaceable`.

    Raises
    ------
    UserError
        When the disk is full, or `path` holds what is not the step's own or belongs to a step that was started later.
        What a killed block left is removed by the next; it never leaves a part of a folder as `path`.
    """
    check_replaceable(path, own)
    with _partial(path, Path.mkdir) as partial:
        yield partial
        check_replaceable(path, own)
        require_claim(path)
        old = partial.with_name(f"{partial.name}.old")
        if path.exists():  # deleted where it is, it would not be known as the step's own after a kill
            path.replace(old)
        partial.replace(path)
        _remove(old)


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder of this process beside `path`, for what is to be moved there; it is gone afterwards."""
    with _partial(path, Path.mkdir) as partial:
        yield partial


@contextmanager
def _partial(path: Path, make: Callable[[Path], None]) -> Iterator[Path]:
    """Yield a new file or folder beside `path`, and remove those that killed blocks left: they are not locked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.partial-*"):
        with _lock(left) as unused:
            if unused:
                _remove(left)
    try:
        with ExitStack() as stack:
            while True:
                partial = path.with_name(f".{path.name}.partial-{secrets.token_hex(4)}")
                stack.callback(_remove, partial)
                make(partial)
                stack.enter_context(_lock(partial, wait=True))
                if partial.exists():  # else another process took it for a left one before it was locked
                    break
            yield partial
    except (OSError, RuntimeError) as error:
        raise_if_full(error, path)
        raise


@contextmanager
def _lock(path: Path, *, wait: bool = False) -> Iterator[bool]:
    """Lock a file or folder while the block runs; yield whether it could be, as not every file system has locks."""
    with ExitStack() as stack:
        try:
            descriptor = os.open(path, os.O_RDONLY)
            stack.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            locked = True
        except OSError:
            locked = False
        yield locked


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def is_full(error: BaseException) -> bool:
    """Return whether "no space left" or "quota exceeded" is behind an error.

    Torch hides it behind a RuntimeError, and NumPy says without a number how many items it could not write.
    """
    reason = error if isinstance(error, OSError) else error.__context__
    if not isinstance(reason, OSError):
        return False
    cut_short = reason.errno is None and re.fullmatch(r"\d+ requested and \d+ written", str(reason))
    return bool(cut_short) or reason.errno in (errno.ENOSPC, errno.EDQUOT)


def raise_if_full(error: Exception, path: Path) -> None:
    """Turn the error of a full disk into a UserError that names `path`."""
    if is_full(error):
        raise UserError(f"the disk is full while writing {path}: free some space and run again") from error


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON, whole or not at all. A number that is not finite is an error, as JSON knows none."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of equal keys as CSV, whole or not at all; None is an empty cell."""
    with whole_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_table(path: Path) -> list[dict[str, str]]:
    """Read a CSV file as `write_table` writes it.

    Raises
    ------
    UserError
        When it is absent.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            return list(csv.DictReader(stream))
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: run the step that makes it") from error


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    UserError
        When it is absent or no JSON, or nested too deeply.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: run the step that makes it") from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON ({error}): delete it and run the step that makes it") from error


def canonical_json(content: Any) -> str:
    """Return JSON that is equal for equal content: sorted keys, no white space."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


CHECKSUMS = "checksums.json"  # in a folder of results


def checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file below a folder by its path there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(file.relative_to(folder)): checksum(file) for file in files}


def require_intact(path: Path, step: str) -> None:
    """Raise UserError when a file of a step's results is not what the checksums beside it say, where there are any."""
    beside = path.parent / CHECKSUMS
    if not (path.exists() and beside.exists()):  # version 0.1 wrote none
        return
    known = read_json(beside)
    if not isinstance(known, dict) or known.get(path.name) != checksum(path):
        raise UserError(f"{path} is damaged (its checksum is wrong): delete its folder and run {step} again")


def checksum(path: Path, algorithm: str = "sha256") -> str:
    """Return the hexadecimal digest of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()
