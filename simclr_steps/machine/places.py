"""Claims on outputs: one step at a time produces an output, and it belongs to the step that claimed it last."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from simclr_steps.machine.errors import UserError
from simclr_steps.machine.locks import has_name, wait_for_lock

_claims: dict[Path, tuple[Path, str]] = {}  # this process's places: the lock file of each, and what is claimed there


@contextmanager
def claimed(place: Path, key: str) -> Iterator[None]:
    """Claim `place` with the lock file beside it while the block runs; wait for the step that works for it.

    Parameters
    ----------
    place
        The file or folder that the step makes.
    key
        Equal for steps that make the same, without white space.

    Raises
    ------
    UserError
        When a step of another key has claimed `place` while this one waited, or the disk is full.
    """
    place = place.absolute()
    file, claim = _lock_file(place), f"{key} {secrets.token_hex(8)}"
    while True:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb", buffering=0) as lock:
            _write(lock, claim, place)
            try:
                wait_for_lock(lock, "writes", place)
            except BaseException:  # stopped while it waits: whoever works may publish
                if _read(file) == claim:
                    file.write_text("")
                raise
            if not has_name(lock):
                continue
            _claims[place] = file, claim
            try:
                require_claim(place)
                yield
            finally:
                del _claims[place]
                if _read(file) in (claim, ""):  # else another process waits for the lock
                    file.unlink(missing_ok=True)
            return


def require_claim(path: Path) -> None:
    """Raise UserError if `path` is, or lies in, a place that a step of another key has claimed after this one."""
    for place, (file, claim) in _claims.items():
        newest = _read(file)
        if path.absolute().is_relative_to(place) and newest and newest.split()[0] != claim.split()[0]:
            raise UserError(
                f"{place} belongs to a step with different settings that started after this one: nothing was written "
                "there; run again if these are the settings you want"
            )


def _lock_file(place: Path) -> Path:
    """Return the lock file beside a place, or in it where that is a folder in one that cannot be written to."""
    if place.is_dir() and not os.access(place.parent, os.W_OK):
        return place / ".lock"
    return place.with_name(f".{place.name}.lock")


def _write(lock: IO[bytes], claim: str, place: Path) -> None:
    try:
        lock.write(claim.encode())
    except OSError as error:
        raise UserError(
            f"the disk is full while writing {place.parent} ({error.strerror}): free some space and run again"
        ) from error


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:  # there is none, or another machine has just removed it
        return ""
