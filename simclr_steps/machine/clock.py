"""Files whose time lies in the future, as the clock was wrong when they were written."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress


def bring_to_present(folders: Iterable[str]) -> int:
    """Give the present time to files below folders that have a later one, and return how many had.

    No file gets older than one that it was not older than before.
    """
    now = time.time()
    count = 0
    for folder in folders:
        for place, _, names in os.walk(folder):
            for name in names:
                file = os.path.join(place, name)  # noqa: PTH118 - there may be very many
                with suppress(OSError):  # it is gone, or belongs to somebody else
                    status = os.lstat(file)
                    if status.st_mtime > now:
                        os.utime(file, (status.st_atime, now), follow_symlinks=False)
                        count += 1
    return count
