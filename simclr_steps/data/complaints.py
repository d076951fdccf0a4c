"""What C libraries print about a damaged file becomes an error, and no line between the step's own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2
_LONGEST = 1000  # bytes; the first words say enough


@contextmanager
def complaints_raised() -> Iterator[None]:
    """Raise OSError with what is printed by a block, such as by libtiff, whether the block fails or not."""
    if sys.stderr is None or not hasattr(os, "memfd_create"):  # only Linux has it
        yield
        return
    printed, before = os.memfd_create("printed"), os.dup(_STDERR)
    failure: Exception | None = None
    os.dup2(printed, _STDERR)
    try:
        yield
    except Exception as error:
        failure = error
    finally:
        os.dup2(before, _STDERR)
        os.close(before)
        said = " ".join(os.pread(printed, _LONGEST, 0).decode(errors="replace").split())
        os.close(printed)
    if said:
        raise OSError(said) from failure
    if failure:
        raise failure
