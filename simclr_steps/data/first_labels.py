"""The labels that a training begins with, and keeps however often it is resumed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simclr_steps.data.packed import read_description, read_labels
from simclr_steps.data.splits import Labels
from simclr_steps.files import whole_file
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.processes import leads


@dataclass(frozen=True)
class FirstLabels:
    """Labels as they were when a training began, int64 [N] each, -1 where there was none."""

    train: Labels
    validation: Labels
    content_hash: str  # of the data set with these labels


def first_labels(folder: Path, labels: Path, pixel_hash: str) -> FirstLabels:
    """Return the labels that a training's work folder keeps or, where it has none yet, those that `label` wrote.

    The leading process keeps them there. A training that is resumed after labels were edited is thus the one that was
    begun, bit for bit.

    Raises
    ------
    UserError
        When the labels are absent, damaged or those of other images than the ones with this hash.
    """
    kept = folder / "labels.npz"
    if not kept.exists():
        described = read_description(labels)
        if described.pixel_hash != pixel_hash:
            raise UserError(f"--labels: {labels} is not of the images that --data holds: run label on these")
        # Read, not mapped: what happens to the file later must not reach this training.
        train, validation = (np.array(read_labels(labels, split)) for split in ("train", "validation"))
        now = FirstLabels(train, validation, described.content_hash)
        # A disk too full for them is too full for any save, at which all processes end together: nothing to resume.
        with suppress(OSError, UserError):
            if leads():
                with whole_file(kept) as partial, partial.open("wb") as stream:
                    np.savez(stream, train=now.train, validation=now.validation, content_hash=np.str_(now.content_hash))
        return now
    with np.load(kept, allow_pickle=False) as stored:
        return FirstLabels(stored["train"], stored["validation"], str(stored["content_hash"]))
