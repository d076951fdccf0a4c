"""docs/scale.md has what the command prints, and what that is made of is counted and measured right."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.benchmarks import scale, scale_parts
from tests.benchmarks.data import REPOSITORY


@pytest.mark.slow
def test_the_page_has_the_tables_that_the_command_prints() -> None:
    page = (REPOSITORY / "docs/scale.md").read_text()
    assert scale.markdown() in page, "replace them by the output of python -m tests.benchmarks.scale"


def test_what_is_kept_for_the_backward_pass_is_most_of_the_memory_that_was_measured() -> None:
    _, kept = scale.measured_step()
    peak = json.loads(scale.RECORD.read_text())["parts"]["step"]["peak_memory_bytes"]["bare step, plain"]
    assert 0.9 < kept / peak < 1


def test_photographs_have_the_size_of_files_of_imagenet(tmp_path: Path) -> None:
    (file,) = scale_parts.write_photographs(tmp_path / "jpegs", 1).iterdir()
    assert 90_000 < file.stat().st_size < 130_000
    with Image.open(file) as image:
        assert image.size == (500, 375) and image.mode == "RGB"


@pytest.mark.slow
def test_all_images_are_packed_by_others_and_read_by_one_reader(tmp_path: Path) -> None:
    used = scale_parts.pack(tmp_path, 2 * scale_parts.BATCH)
    assert used.others > used.own > 0
    packed = np.load(tmp_path / f"packed{2 * scale_parts.BATCH}/train.images.npy", mmap_mode="r")
    assert packed.shape == (2 * scale_parts.BATCH, 224, 224, 3)
    used, read = scale_parts.read_epochs(tmp_path / f"packed{len(packed)}", 1, 2)
    assert read == 2 * len(packed) and used.others > 0
