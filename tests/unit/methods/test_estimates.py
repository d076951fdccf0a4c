"""Estimates of time and disk space say what they assume."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from simclr_steps.data.first_look import look_at_arrays
from simclr_steps.methods.estimates import estimates


@pytest.mark.parametrize(("has_gpu", "machine"), [(True, "a GPU"), (False, "no GPU")])
def test_machine_time_and_disk(tmp_path: Path, has_gpu: bool, machine: str) -> None:
    np.save(tmp_path / "train_images.npy", np.zeros((1000, 32, 32), dtype=np.uint8))
    found = list(estimates(look_at_arrays(tmp_path), (32, 32), "small", 720, has_gpu=has_gpu))
    assert found[0].startswith(f"Machine: {machine}, ") and "GB of memory" in found[0]
    assert "100 epochs with batches of 64" in found[1]
    if has_gpu:  # 2 views × 704 images × 100 epochs × 0.56 billion multiplications × 6, at 20e12 a second
        assert found[1].startswith("Time: about 24 s for pretraining")
        assert "if the GPU computes 20 TFLOP/s" in found[1]
    else:
        assert "as a matrix product reached" in found[1]
    assert found[2] == (
        "Disk: about 1.0 MB for the packed images, and about half a GB for the checkpoints and results of a run."
    )


@pytest.mark.parametrize(("load", "is_busy"), [(0.2, False), (400.0, True)])
def test_a_busy_machine_is_told(tmp_path: Path, load: float, is_busy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    np.save(tmp_path / "train_images.npy", np.zeros((100, 32, 32), dtype=np.uint8))
    time = list(estimates(look_at_arrays(tmp_path), (32, 32), "small", 72, has_gpu=False))[1]
    assert ("the machine is busy with 400 programs at once: it takes less time when they have ended" in time) == is_busy


def test_deep_images_take_twice_the_space_and_more_while_they_are_packed(tmp_path: Path) -> None:
    np.save(tmp_path / "train_images.npy", np.zeros((1000, 32, 32, 2), dtype=np.uint16))
    disk = list(estimates(look_at_arrays(tmp_path), (32, 32), "small", 720, has_gpu=True))[2]
    assert "about 4.1 MB for the packed images, and 8.2 MB more while they are packed" in disk
