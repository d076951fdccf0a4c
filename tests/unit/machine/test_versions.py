import subprocess
import sys
from pathlib import Path

import pytest
import torch

from simclr_steps.machine import versions
from simclr_steps.machine.versions import version_line


def test_torch_and_its_cuda_are_those_that_torch_tells() -> None:
    cuda = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
    assert f"(torch {torch.__version__}, {cuda}, " in version_line()


def test_without_torch_it_says_so() -> None:
    code = "import sys; sys.path = [path for path in sys.path if 'site-packages' not in path]\n"
    code += "from simclr_steps.machine.versions import version_line; print(version_line())"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "(torch is not installed, requirements.lock " in shown


def test_code_is_hashed_where_no_lock_file_lies_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "package").mkdir()
    file = tmp_path / "package/module.py"
    file.write_text("x = 1\n")
    monkeypatch.setattr(versions, "PACKAGE", tmp_path / "package")
    before = version_line()
    assert ", code " in before
    file.write_text("x = 2\n")
    assert version_line() != before
    (tmp_path / "requirements.lock").write_text("torch==1\n")
    assert ", requirements.lock " in version_line()
