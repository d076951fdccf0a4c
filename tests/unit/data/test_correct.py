"""Which images are right comes back as it was written, in bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simclr_steps.data.correct import Correct, read_correct, write_correct
from simclr_steps.machine.errors import UserError


@pytest.mark.parametrize("images", [0, 1, 8, 1003])
@pytest.mark.parametrize("groups", [False, True])
def test_all_comes_back(images: int, groups: bool, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    right = {key: generator.random(images) > 0.3 for key in (("50", 0), ("50", 1), ("{groups: 3}", 0))}
    given = Correct(right, generator.integers(0, 9, images) if groups and images else None)
    write_correct(tmp_path / "correct.npz", given)
    found = read_correct(tmp_path / "correct.npz")
    assert list(found.right) == list(right)
    assert all(np.array_equal(found.right[key], mask) for key, mask in right.items())
    if given.groups is not None:
        assert found.groups is not None and np.array_equal(found.groups, given.groups)


def test_a_bit_for_each_image_and_classifier(tmp_path: Path) -> None:
    right = {("50", draw): np.random.default_rng(draw).random(8000) > 0.5 for draw in range(10)}
    write_correct(tmp_path / "correct.npz", Correct(right, None))
    assert (tmp_path / "correct.npz").stat().st_size < 1.2 * 10_000 + 2000


def test_nothing_measured_is_a_file_too_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    write_correct(tmp_path / "correct.npz", Correct({}, None))
    assert read_correct(tmp_path / "correct.npz").right == {}
    (tmp_path / "correct.npz").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"correct\.npz is damaged .*: run the step that makes it again"):
        read_correct(tmp_path / "correct.npz")
