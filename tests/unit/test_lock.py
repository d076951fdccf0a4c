"""What `make lock` writes agrees with what it is written from."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def test_conda_environment_is_the_lock_file_line_by_line() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8").replace("\\\n", "")
    locked = [line.split("--hash")[0].strip() for line in text.splitlines() if re.match(r"[a-z]", line)]
    environment = yaml.safe_load((ROOT / "workflow/envs/simclr.yaml").read_text(encoding="utf-8"))
    assert len(locked) > 100
    assert environment["dependencies"][-1] == {"pip": locked}, "run make lock"
    assert environment["channels"] == ["conda-forge", "nodefaults"]
