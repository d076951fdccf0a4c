"""What steps said that failed or were stopped, so that it can be said once more where the user looks: at the end."""

from __future__ import annotations

import re
from pathlib import Path

from simclr_steps.machine.logs import subject

_FAILED = re.compile(r"[\d-]{10} [\d:]{8} (\w+): (error: |(?=stopped \(|stopped by |this is a bug in the program))(.*)")


def failures(logs: Path, since: float) -> list[str]:
    """Return a line for each step whose log below `logs`, written since a time in seconds, says why it ended early.

    The earliest is the first. A step that was killed from outside said nothing, and has no line.
    """
    written = sorted((file.stat().st_mtime, file) for file in logs.rglob("*.log"))
    return [line for changed, file in written if changed >= since for line in failure(file)]


def failure(file: Path) -> list[str]:
    """Return the line of one log, or none: a step says what made it fail once, at its end."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # it was removed just now, or is another user's
        return []
    for line in reversed(lines):
        if match := _FAILED.fullmatch(line):
            step, _, message = match.groups()
            return [f"{step}{subject(file, step)}: {message} ({file})"]
    return []
