"""What something on CI's machine has hidden fails there; the option is in tests/conftest.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SKIPPED = 'import pytest\n\ndef test_nothing():\n    pytest.skip("no browser here")\n'


@pytest.mark.parametrize(
    ("options", "status"),
    [([], 0), (["--may-skip=a GPU|browser"], 0), (["--may-skip=a GPU"], 1), (["--may-skip=a GPU", "-n1"], 1)],
)
def test_a_test_that_may_not_be_skipped_fails_the_session(tmp_path: Path, options: list[str], status: int) -> None:
    (tmp_path / "test_hidden.py").write_text(SKIPPED)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "--rootdir", str(tmp_path), str(tmp_path)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}  # CI's own options
    done = subprocess.run(
        [*command, *options], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert ("skipped, although --may-skip does not allow it: ['Skipped: no browser here']" in done.stdout) == bool(
        status
    )
