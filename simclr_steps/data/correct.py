"""Which labeled images of a judged split classifiers are right about: correct.npz, a bit for each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from simclr_steps.data.groups import Groups, Mask
from simclr_steps.files import whole_file
from simclr_steps.machine.errors import UserError


@dataclass(frozen=True)
class Correct:
    """What is known of one input's classifiers."""

    right: dict[tuple[str, int], Mask]  # by budget of labels, as tables have it, and draw: [N]
    groups: npt.NDArray[np.int64] | None  # the number of each image's group, [N]; None where they have none

    @classmethod
    def of(cls, right: dict[tuple[str, int], Mask], groups: Groups | None) -> Correct:
        """Return the same, given the name of each image's group."""
        numbers = None if groups is None else np.unique(groups, return_inverse=True)[1].astype(np.int64)
        return cls(right, numbers)


def write_correct(path: Path, correct: Correct) -> None:
    """Write which images are right: `right`, uint8 [K, N / 8], for each of `budgets` and `draws`, [K], in bits.

    `images` is N, and `groups`, int64 [N], is empty where images have none.
    """
    images = max(map(len, correct.right.values()), default=0)
    bits = np.zeros((len(correct.right), -(-images // 8)), dtype=np.uint8)
    for number, mask in enumerate(correct.right.values()):
        bits[number] = np.packbits(mask)
    groups = np.zeros(0, dtype=np.int64) if correct.groups is None else correct.groups
    budgets = np.array([budget for budget, _ in correct.right], dtype=np.str_)
    draws = np.array([draw for _, draw in correct.right], dtype=np.int64)
    with whole_file(path) as partial, partial.open("wb") as stream:
        np.savez_compressed(stream, right=bits, budgets=budgets, draws=draws, images=images, groups=groups)


def read_correct(path: Path) -> Correct:
    """Read what `write_correct` wrote.

    Raises
    ------
    UserError
        When the file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            images, groups = int(stored["images"]), stored["groups"]
            right = np.unpackbits(stored["right"], axis=1, count=images).astype(bool)
            keys = zip(stored["budgets"].tolist(), stored["draws"].tolist(), strict=True)
            return Correct(dict(zip(keys, right, strict=True)), groups if len(groups) else None)
    except Exception as error:  # a damaged archive can make NumPy fail in any way
        raise UserError(f"{path} is damaged ({error}): run the step that makes it again") from error
