"""The folder in which a training keeps what it needs to go on after it was stopped."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simclr_steps.errors import UserError
from simclr_steps.files import canonical_json
from simclr_steps.hardware import leads
from simclr_steps.logs import log


@contextmanager
def work_folder(root: Path, *made_of: Any) -> Iterator[Path]:
    """Yield the folder below `root` that belongs to this code, data, seed and settings, locked against other writers.

    Any change of what the result is made of leads to another folder, so nothing is resumed that would not have been
    made. Raises UserError when another process works there.
    """
    key = hashlib.sha256(canonical_json(made_of).encode()).hexdigest()[:16]
    folder = root / key
    folder.mkdir(parents=True, exist_ok=True)
    if not leads():  # the leading process holds the lock for all
        yield folder
        return
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"{folder} is in use: wait until the other process that trains there has ended") from error
        except OSError as error:
            log.warning("warning: %s cannot be locked (%s): let no second process train there", folder, error.strerror)
        yield folder
