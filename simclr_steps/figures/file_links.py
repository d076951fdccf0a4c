"""Links from a page to files beside it or elsewhere on the machine."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote


def link_to(file: Path, folder: Path) -> str | None:
    """Return a link from a page in `folder` to a file; None where there is no such file.

    It is relative for a file below the working directory, so that it still leads there if a project is moved with its
    images, and absolute for any other, so that results can be moved.
    """
    if not file.is_file():
        return None
    # Without "..", but with links as they are.
    here, target, start = (Path(os.path.abspath(path)) for path in (".", file, folder))  # noqa: PTH100
    if target.is_relative_to(here) and start.is_relative_to(here):
        relative = os.path.relpath(target, start)
        return quote(os.fsencode(Path(relative).as_posix() if relative.startswith("..") else f"./{relative}"))
    return f"file://{quote(os.fsencode(target.as_posix()))}"
