"""Show which steps run, since when, and how far they are."""

from __future__ import annotations

import re
import shutil
import sys
import time
from datetime import datetime
from pathlib import Path

from simclr_steps.durations import duration
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.locks import is_locked

_REFRESH_SECONDS = 2.0
_TAIL_BYTES = 4096  # longer than any line of a step
_CLEAR = "\x1b[H\x1b[J"
_STAMP = len("2026-01-31 23:59:59")
_LINE = re.compile(r"^[\d-]{10} ([\d:]{8}) \w+: (.*)$")


def watch(results: Path, *, once: bool = False) -> None:
    """Print the running steps that write their logs beside `results`; on a terminal again every two seconds.

    Raises
    ------
    UserError
        When there are no logs.
    """
    logs = results.resolve().parent / "logs"
    if not logs.is_dir():
        raise UserError(f"{logs} does not exist: pass the results folder of a workflow that has been run")
    if once or not sys.stdout.isatty():
        print("\n".join(overview(logs)))
        return
    try:
        while True:
            width = shutil.get_terminal_size().columns
            print(_CLEAR + "\n".join(line[:width] for line in overview(logs)), flush=True)
            time.sleep(_REFRESH_SECONDS)
    except KeyboardInterrupt:
        print()


def overview(logs: Path) -> list[str]:
    """Return two lines for each running step: its name and how long it has run, and the last line that it said."""
    lines: list[str] = []
    for file in sorted(logs.rglob("*.log")):
        if is_locked(file):
            lines += [f"{file.relative_to(logs).with_suffix('')}, {_since(file)}", f"    {_last_words(file)}"]
    return lines or ["nothing is running"]


def _since(file: Path) -> str:
    """Return since when a step has run: the first line of its log says when, and an empty log is as old as its step."""
    with file.open(encoding="utf-8", errors="replace") as stream:
        stamp = stream.readline()[:_STAMP]
    try:
        began = datetime.fromisoformat(stamp)
    except ValueError:
        began = datetime.fromtimestamp(file.stat().st_mtime)
    seconds = (datetime.now() - began).total_seconds()
    return f"since {began:%Y-%m-%d %H:%M:%S} ({duration(max(0, seconds))})"


def _last_words(file: Path) -> str:
    """Return the time and the message of a log's last line."""
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - _TAIL_BYTES))
        lines = stream.read().decode(errors="replace").splitlines()
    return _LINE.sub(r"\1 \2", lines[-1]) if lines else "starting"
