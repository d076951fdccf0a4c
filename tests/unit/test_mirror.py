"""Each module of the package has its test file at the same place below tests/unit."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
EXCEPTIONS = {
    "__main__.py": "it is run as a program, by test_cli.py",
    "machine/errors.py": "its classes have names and no behavior",
    "summary/captions.py": "its words are compared with those of the report by test_write_captions.py",
    "training/module.py": "it only says what a training's module has to offer, which mypy checks",
}


def modules() -> set[str]:
    """Return the package's modules, as paths below it; an __init__.py holds no code."""
    package = ROOT / "simclr_steps"
    return {file.relative_to(package).as_posix() for file in package.rglob("*.py") if file.name != "__init__.py"}


def place_of_tests(module: str) -> Path:
    """Return where the tests of a module stand."""
    return ROOT / "tests/unit" / Path(module).with_name(f"test_{Path(module).name}")


def test_each_module_has_its_test_file() -> None:
    missing = [module for module in modules() if not place_of_tests(module).exists()]
    assert sorted(missing) == sorted(EXCEPTIONS), "move or write its tests, or take it from the exceptions"
