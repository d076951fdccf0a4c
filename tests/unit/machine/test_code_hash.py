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
    edit(file, '"""Open the images', '"""Another sentence. Open the images')
    assert hash_of("predict", package) == before


def test_code_of_an_imported_module_changes_the_hash(package: Path) -> None:
    before = hash_of("predict", package)
    edit(package / "data/packed.py", 'mmap_mode="r"', 'mmap_mode="c"')
    assert hash_of("predict", package) != before


def test_modules_that_a_step_does_not_import_leave_its_hash_alone(package: Path) -> None:
    before = hash_of("umap", package)
    edit(package / "methods/loss.py", "import torch", "import torch\n\nUNUSED = 1\n")
    assert hash_of("umap", package) == before


def test_settings_and_machine_are_left_out() -> None:
    closure = code_hash.import_closure("steps.pretrain")
    assert not [module for module in closure if module.startswith(("settings.", "machine."))]
    assert {"steps.pretrain", "methods.loss", "methods.random_numbers", "data.packed"} <= closure


def test_code_is_described_alike_by_every_version_of_python(tmp_path: Path) -> None:
    file = tmp_path / "code.py"
    file.write_text(
        '''"""A docstring."""\n@cache\ndef f(x: int) -> str:\n    return f"{x:>{4}} {x!r}" "end"  # why\n'''
    )
    x, int_, str_, cache = (f"(Name id '{word}' )" for word in ("x", "int", "str", "cache"))
    four = "(FormattedValue value (Constant value 4 ) conversion -1 )"
    wide = f"(FormattedValue value {x} conversion -1 format_spec (JoinedStr values [ (Constant value '>' ) {four} ] ) )"
    repeated = f"(FormattedValue value {x} conversion 114 )"
    joined = f"(JoinedStr values [ {wide} (Constant value ' ' ) {repeated} (Constant value 'end' ) ] )"
    arguments = f"(arguments args [ (arg arg 'x' annotation {int_} ) ] )"
    assert code_hash.bare_source(file) == (
        f"(Module body [ (FunctionDef name 'f' args {arguments} "
        f"body [ (Return value {joined} ) ] decorator_list [ {cache} ] returns {str_} ) ] )"
    )
