import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from simclr_steps.machine import code_hash

PACKAGE = code_hash.PACKAGE


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PACKAGE, tmp_path / "simclr_steps", ignore=shutil.ignore_patterns("__pycache__")))


def hash_of(step: str, package: Path) -> str:
    command = [
        sys.executable,
        "-c",
        f"from simclr_steps.machine.code_hash import code_hash; print(code_hash({step!r}))",
    ]
    return subprocess.run(command, cwd=package.parent, check=True, capture_output=True, text=True).stdout


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_comments_docstrings_and_layout_change_no_hash(package: Path) -> None:
    before = hash_of("predict", package)
    file = package / "data/packed.py"
    file.write_text("# a comment\n" + file.read_text().replace("def read_split(", "def read_split(  # another\n"))
    edit(file, '"""Open one split', '"""Another sentence. Open one split')
    assert hash_of("predict", package) == before


def test_code_of_an_imported_module_changes_the_hash(package: Path) -> None:
    before = hash_of("predict", package)
    edit(package / "data/packed.py", "NO_LABEL = -1", "NO_LABEL = -2")
    assert hash_of("predict", package) != before


def test_modules_that_a_step_does_not_import_leave_its_hash_alone(package: Path) -> None:
    before = hash_of("umap", package)
    edit(package / "methods/loss.py", "import torch", "import torch\n\nUNUSED = 1\n")
    assert hash_of("umap", package) == before


def test_settings_are_left_out_as_their_values_trigger_themselves() -> None:
    closure = code_hash.import_closure("steps.pretrain")
    assert {"settings.blocks", "machine.errors"}.isdisjoint(closure)
    assert {"steps.pretrain", "methods.loss", "methods.random_numbers", "data.packed"} <= closure
