"""Which groups, such as patients or plates, the paths of images suggest."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from simclr_steps.data.groups import in_one_group
from simclr_steps.data.splits import Labels

_NAMES = (
    *("patient", "subject", "donor", "case", "animal", "mouse", "plate", "slide", "scan"),
    *("video", "clip", "sequence", "session", "batch", "site", "field"),
)
_NUMBERED = [rf"(?i)(?<![a-z])({name}[-_ ]?\d+)" for name in _NAMES]
_PATTERNS = (
    *_NUMBERED,
    r"/([^/]+)/[^/]+$",  # the folder of the file, below another one
)
_FEWEST = 5  # groups, that splits can be drawn from


def look_like_groups(classes: Sequence[str]) -> bool:
    """Return whether all names of classes, of which there are some, are rather those of groups, such as plate3."""
    return bool(classes) and all(any(re.search(pattern, name) for pattern in _NUMBERED) for name in classes)


def likely_pattern(paths: Sequence[str], labels: Labels) -> tuple[str, list[str]] | None:
    """Return a `group_pattern` that finds a group in each path, and the names of the groups; None if nothing does.

    There are at least five groups and at most half as many as images, and they are not the classes.
    """
    for pattern in map(re.compile, _PATTERNS):
        found = [pattern.search(path) for path in paths]
        groups = np.array([match[1] if match else "" for match in found])
        names = np.unique(groups)
        if not all(found) or not _FEWEST <= len(names) <= len(paths) / 2:
            continue
        classes = len(np.unique(labels[labels >= 0]))
        if classes < 2 or len(in_one_group(labels, groups)) < classes:
            return pattern.pattern, names.tolist()
    return None
