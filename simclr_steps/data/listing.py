"""What a source tells of its images without reading one: class, split, group, and where each comes from."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from simclr_steps.data.boxes import Box
from simclr_steps.data.groups import Groups
from simclr_steps.data.splits import Labels, SplitNames

_UNTIDY = ("/.", "//")  # in a path that may have a shorter form


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The images of a source, in its order.

    `splits` [N], `labels`, int64 [N], and `names` tell of each row the split it has in the source (train where the
    source names none), its label or -1, and where it comes from. `groups` [N] names the group of each row, if they have
    any. `columns` are what else is known of each row, [N] by name, "" where it is unknown. Of images in files, `names`
    and `files` are below the absolute folder `base`, and `files` are the paths of each row, [N] by the column of a CSV
    file that has them: path, or path.DNA and so on. `boxes` [N] are the parts of the files that the images are, None
    for one that cannot be read, if they are parts. `uncut` lists the images that they were cut from, if they are tiles.
    """

    classes: list[str]
    splits: SplitNames
    labels: Labels
    names: Sequence[str]
    groups: Groups | None = None
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    base: str = ""
    files: Mapping[str, Sequence[str]] = field(default_factory=dict)
    boxes: Sequence[Box | None] | None = None
    uncut: Listing | None = None

    @cached_property
    def keys(self) -> Sequence[str]:
        """What tells each image from all others, whichever folder or CSV file lists it."""
        return places(self.base, self.names) if self.base else self.names

    def paths(self, column: str) -> list[str]:
        """Return the absolute paths in a column of files."""
        return [os.path.join(self.base, name) for name in self.files[column]]  # noqa: PTH118 - as below


def places(base: str, names: Sequence[str]) -> list[str]:
    """Return where files below an absolute folder are: their paths from the working directory or, outside it, from /.

    So a project that is moved with its images finds them unchanged.
    """
    here = f"{os.getcwd()}/"  # noqa: PTH109
    paths = (os.path.join(base, name) for name in names)  # noqa: PTH118 - a million of these take a second
    tidy = (os.path.normpath(path) if any(part in path for part in _UNTIDY) else path for path in paths)
    return [path.removeprefix(here) for path in tidy]
