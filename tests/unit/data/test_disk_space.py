"""Images that will not fit on the disk are refused before any is cut."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.steps.prepare import prepare
from tests.unit.data.test_tiles import dataset, write


def test_tiles_that_will_not_fit_are_refused_with_both_sizes(
    tmp_path: Path, small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "slides", "a.tif", size=(1024, 1024), dtype=np.uint16)
    free = r"in .*disk/out, where (1\.0|0\.\d) MB are free: free some"
    with pytest.raises(UserError, match=rf"^256 images of 64 × 64 × 1 pixels need 5\.2 MB of disk space {free}"):
        prepare(dataset(tmp_path / "slides"), originals=None, out=small_disk / "out", workers=1)
    with pytest.raises(UserError, match=r"need 2\.1 MB of disk space"):
        prepare(
            dataset(tmp_path / "slides", value_range=[0, 65_535], bits=16),
            originals=None,
            out=small_disk / "out",
            workers=1,
        )
    assert not list(small_disk.rglob("*.npy"))
    kept = dataset(tmp_path / "slides", value_range=[0, 65_535], bits=16, keep={"min_std": 0.29})
    with caplog.at_level(logging.WARNING):
        prepare(kept, originals=None, out=small_disk / "out", workers=1)
    assert "they will fit only if enough empty tiles are dropped" in caplog.text
