"""docs/architecture.md is true: its map has every module once, what it names exists, and its rule is the one tested."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.test_import_rule import RULE

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "simclr_steps"
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^\| [^|]* \| `(\S+)` \| `(\S+)` \|$", PAGE, re.MULTILINE)


def entries(page: str) -> list[str]:
    """Return what the map lists, a path at the start of each line, and its wings."""
    return re.findall(r"^(?:- |### )`([^`]+)`:", page, re.MULTILINE)


def modules() -> list[str]:
    """Return what the map must list: the package's files, a wing in place of its __init__.py, and the rules."""
    listed = (PACKAGE / "MANIFEST").read_text(encoding="utf-8").split()
    files = [name.removesuffix("__init__.py") or name for name in listed if name != "py.typed"]
    return files + [file.relative_to(ROOT).as_posix() for file in (ROOT / "workflow/rules").glob("*.smk")]


def found(path: str) -> Path | None:
    """Return the file, or the first, that a path means: below the repository or below the package."""
    return next((file for folder in (ROOT, PACKAGE) for file in folder.glob(path)), None)


def test_map_lists_every_module_once() -> None:
    listed = entries(PAGE)
    assert [name for name in modules() if listed.count(name) != 1] == []
    assert sorted(name for name in listed if listed.count(name) > 1) == []


def test_paths_exist() -> None:
    words = re.findall(r"`([^`\s<>]+)`", PAGE)
    paths = [word for word in words if "/" in word or word.endswith((".py", ".smk"))]
    links = [(ROOT / "docs" / link).resolve() for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", PAGE)]
    assert len(paths) > len(entries(PAGE))
    assert [path for path in paths if found(path) is None] == []
    assert [link for link in links if not link.exists()] == []


@pytest.mark.parametrize(("path", "name"), EXAMPLES)
def test_what_an_example_looks_for_is_there(path: str, name: str) -> None:
    file = found(path)
    assert file and re.search(rf"\b{name}\b", file.read_text(encoding="utf-8"))


def test_import_rule_is_that_of_the_test_without_wings_that_are_not_there() -> None:
    levels = [
        [wing for wing in level.split(" | ") if found(wing) or found(f"{wing}.py")] for level in RULE.split(" > ")
    ]
    assert " > ".join(" | ".join(level) for level in levels if level) in PAGE.splitlines()


def test_recipes_are_short() -> None:
    recipes = re.findall(r"^## (To add .*)\n\n((?:\d.*\n|   .*\n)+)", PAGE, re.MULTILINE)
    assert [name for name, _ in recipes] == ["To add a step", "To add a setting", "To add a data source"]
    assert {name: len(text.splitlines()) for name, text in recipes if len(text.splitlines()) >= 10} == {}
