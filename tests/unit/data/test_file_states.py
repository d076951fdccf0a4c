"""Where Snakemake runs without NumPy, any change of the user's files is seen, if not what it means."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simclr_steps.data.file_states import fingerprints_to_plan, state_of_files
from simclr_steps.data.fingerprints import fingerprints
from simclr_steps.settings.datasets import FolderDataset

WITHOUT_NUMPY = """
import sys
sys.modules["numpy"] = None
from simclr_steps.data.file_states import fingerprints_to_plan
from simclr_steps.settings.datasets import FolderDataset
found = fingerprints_to_plan(FolderDataset(source="folder", path=sys.argv[1], image_size=8))
assert found.pixels == found.labels and not found.are_of_steps
print(found.pixels)
"""

WITHOUT_DECODERS = """
import sys
sys.modules.update(dict.fromkeys(["PIL", "tifffile", "imagecodecs", "pandas", "pyarrow", "torch"]))
from simclr_steps.data.file_states import fingerprints_to_plan
from simclr_steps.settings.datasets import ArraysDataset, FolderDataset
how = {"validation_fraction": 0, "test_fraction": 0}
found = [
    fingerprints_to_plan(FolderDataset(source="folder", path=sys.argv[1], image_size=8, **how)),
    fingerprints_to_plan(FolderDataset(source="folder", path=sys.argv[1], image_size=8, tiles={"size": 4}, **how)),
    fingerprints_to_plan(ArraysDataset(source="arrays", path=sys.argv[2], **how)),
]
assert all(one.pixels and one.labels and one.are_of_steps for one in found), found
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png"):
        Image.new("L", (6, 6)).save(tmp_path / name)
    (tmp_path / "list.csv").write_text("path,label,split\na.png,x,train\nb.png,y,train\n")
    return tmp_path / "list.csv"


def dataset(path: Path) -> FolderDataset:
    return FolderDataset(source="folder", path=str(path), image_size=8)


def test_with_numpy_they_are_those_of_the_steps(table: Path) -> None:
    assert fingerprints_to_plan(dataset(table)) == fingerprints(dataset(table))


def test_with_numpy_planning_loads_nothing_that_decodes_images_or_reads_tables(table: Path) -> None:
    np.savez(table.parent / "arrays.npz", train_images=np.zeros((4, 8, 8), np.uint8))
    command = [sys.executable, "-c", WITHOUT_DECODERS, str(table), str(table.parent / "arrays.npz")]
    planned = subprocess.run(command, capture_output=True, text=True)
    assert planned.returncode == 0, planned.stderr


@pytest.mark.parametrize("is_table", [True, False])
def test_without_it_any_change_of_a_file_changes_both(table: Path, is_table: bool) -> None:
    path = table if is_table else table.parent
    before = state_of_files(dataset(path))
    command = [sys.executable, "-c", WITHOUT_NUMPY, str(path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == before
    (table.parent / "other.txt").write_text("")
    assert state_of_files(dataset(path)) == before
    Image.new("L", (7, 7)).save(table.parent / "b.png")
    assert state_of_files(dataset(path)) != before
    if is_table:
        image_changed = state_of_files(dataset(path))
        table.write_text(table.read_text().replace("b.png,y", "b.png,yes"))
        assert state_of_files(dataset(path)) != image_changed
