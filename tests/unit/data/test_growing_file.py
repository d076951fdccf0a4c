from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simclr_steps.data.growing_file import GrowingArray, GrowingFile
from simclr_steps.machine.errors import UserError


def test_bytes_are_appended_and_those_at_the_start_overwritten(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path, "numbers", tmp_path / "out")
    file.write(b"??")
    file.write(memoryview(b"34567"))
    file.write(b"12", at_start=True)
    file.sync()
    file.close()
    assert (tmp_path / "numbers").read_bytes() == b"1234567"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_names_the_file_that_it_is_to_become(tmp_path: Path) -> None:
    file = GrowingFile(Path("/dev"), "full", tmp_path / "out")
    with pytest.raises(UserError, match=f"the disk is full while writing {tmp_path}/out/full"):
        file.write(b"1")
    file.close()


@pytest.mark.parametrize("rows", [0, 5])
def test_an_array_that_comes_a_few_rows_at_a_time_is_as_numpy_writes_it(rows: int, tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(rows, 3)).astype(np.float32)
    with GrowingArray(tmp_path, "grown.npy", tmp_path / "out", values.dtype, values.shape) as file:
        for start in range(0, max(1, rows), 2):
            file.write(values[start : start + 2])
    np.save(tmp_path / "whole.npy", values)
    assert (tmp_path / "grown.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
