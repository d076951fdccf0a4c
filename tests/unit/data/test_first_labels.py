"""A training keeps the labels that it began with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simclr_steps.data.first_labels import first_labels
from simclr_steps.machine.errors import UserError
from tests.unit.conftest import WritePacked, digits

PIXELS = "pixels-of-data"


def test_a_training_that_is_resumed_keeps_its_labels_and_a_new_one_takes_those_of_now(
    write_packed: WritePacked, tmp_path: Path
) -> None:
    data, edited = write_packed(), digits(200)[1] * 0 - 1
    for name in ("begun", "new"):
        (tmp_path / name).mkdir()
    began = first_labels(tmp_path / "begun", data, PIXELS)
    np.testing.assert_array_equal(began.train, digits(200)[1])
    np.testing.assert_array_equal(began.validation, digits(60, 200)[1])
    np.save(data / "train.labels.npy", edited)
    resumed, new = (first_labels(tmp_path / name, data, PIXELS) for name in ("begun", "new"))
    np.testing.assert_array_equal(resumed.train, began.train)
    assert resumed.content_hash == began.content_hash == "hash-of-data"
    np.testing.assert_array_equal(new.train, edited)
    (data / "train.labels.npy").unlink()
    with pytest.raises(UserError, match=r"train\.labels\.npy does not exist: run label"):
        first_labels(tmp_path, data, PIXELS)


def test_labels_of_other_images_are_refused(write_packed: WritePacked, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="^--labels: .*other is not of the images that --data holds: run label"):
        first_labels(tmp_path, write_packed(name="other"), PIXELS)
