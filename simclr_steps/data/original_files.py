"""Where the files are that a data set's images were read from."""

from __future__ import annotations

from pathlib import Path

from simclr_steps.data.packed import Description


def original_files(description: Description) -> Path | None:
    """Return the folder that the sources of images are below, None where they are not files."""
    if description.source.get("source") != "folder":
        return None
    path = Path(description.source["path"])
    return path.parent if path.is_file() else path
