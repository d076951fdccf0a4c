"""pyproject.toml gives ranges; the lock files pin a version within each."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGE = PROJECT["project"]["dependencies"]
EVERYTHING = [*PACKAGE, *PROJECT["project"]["optional-dependencies"]["onnx"], *PROJECT["dependency-groups"]["dev"]]


@pytest.mark.parametrize(("lock", "asked"), [("requirements.lock", PACKAGE), ("requirements-dev.lock", EVERYTHING)])
def test_every_pin_is_within_its_range(lock: str, asked: list[str]) -> None:
    pins = re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE)
    for requirement in map(Requirement, asked):
        versions = [version for name, version in pins if name == requirement.name.lower()]
        assert versions, f"{lock} lacks {requirement.name}: run make lock"
        assert all(map(requirement.specifier.contains, versions)), f"{lock} is older than {requirement}: run make lock"


def test_only_the_lock_files_pin() -> None:
    operators = {specifier.operator for asked in EVERYTHING for specifier in Requirement(asked).specifier}
    assert not operators & {"==", "==="}
