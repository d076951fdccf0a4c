"""What a step says while it works: lines on the console and, if asked for, in a log file."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import sys
from pathlib import Path

from simclr_steps.machine.console import Console
from simclr_steps.machine.processes import leads
from simclr_steps.machine.visible import visible

log = logging.getLogger("simclr_steps")


def start_logging(step: str, file: Path | None, *, quiet: bool = False) -> None:
    """Send the lines of this program, and Python's warnings, to the console and, with the date, to `file`.

    On the console, which several steps may share, a line names what the step works on, too. A quiet step says only what
    warns or fails. As long as the program runs it holds a lock on `file`, by which `watch` knows that it does.
    """
    console = Console(sys.stderr)
    name = f"{step}{subject(file, step)}" if file else step
    console.setFormatter(_Lines(f"%(asctime)s {name.replace('%', '%%')}: %(message)s", datefmt="%H:%M:%S"))
    handlers: list[logging.Handler] = [console]
    if file and leads():
        file.parent.mkdir(parents=True, exist_ok=True)
        handler = _LogFile(file, mode="w+", encoding="utf-8")
        handler.setFormatter(_Lines(f"%(asctime)s {step}: %(message)s", datefmt="%Y-%m-%d %H:%M:%S"))
        handler.addFilter(lambda record: not getattr(record, "in_passing", False))
        handlers.append(handler)
        _lock(handler)
    logging.basicConfig(level=logging.WARNING, handlers=handlers)
    log.setLevel((logging.WARNING if quiet else logging.INFO) if leads() else logging.ERROR)
    logging.captureWarnings(True)


def subject(file: Path, step: str) -> str:
    """Return what a step works on, after a space, by where the workflow puts its log; nothing for logs elsewhere.

    That of finetune in logs/digits/simclr/seed0/finetune/scratch.log is " digits/simclr/seed0/scratch".
    """
    *folders, name = file.with_suffix("").parts
    if "logs" not in folders:
        return ""
    below = [*folders[len(folders) - folders[::-1].index("logs") :], name.removesuffix(f".{step}")]
    for place in (-1, -2):  # the step's own name is the file's or its folder's, if it is in the path
        if below[place:][:1] == [step]:
            del below[place]
            break
    return f" {'/'.join(below)}" if below else ""


def _lock(handler: logging.FileHandler) -> None:
    """Hold a shared lock on a handler's file: it waits only if `watch` is checking the lock at that moment."""
    with contextlib.suppress(OSError):  # a file system without locks
        fcntl.flock(handler.stream, fcntl.LOCK_SH)  # type: ignore[arg-type]  # it is open


class _Lines(logging.Formatter):
    """Lines without what a terminal would obey."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record's lines."""
        return visible(super().format(record))


class _LogFile(logging.FileHandler):
    """A log file; what cannot be written to it, as on a full disk, still appears on the console."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Be silent, where logging would show a traceback for each line."""
