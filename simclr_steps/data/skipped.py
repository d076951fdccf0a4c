"""Unreadable images that are left out, without a line for each where there are many."""

from __future__ import annotations

from simclr_steps.data.readable import File, shown
from simclr_steps.machine.logs import log

_NAMED = 5  # images in the log


def report_skipped(file: File, reason: str, before: int) -> None:
    """Say that an image is left out and why, if few have been before it; then say once that more follow."""
    if before < _NAMED:
        log.warning("skipped %s: %s", shown(file), reason)
    elif before == _NAMED:
        log.warning("skipped more images, which are counted at the end")
