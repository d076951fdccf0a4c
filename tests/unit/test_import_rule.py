"""Imports go one way through the house: DESIGN.md's rule, read from the code without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RULE = (
    "cli > commands > steps > methods | use > evaluation | training | summary > data | networks > settings | figures "
    "> files > machine > durations"
)
LEVEL = {wing: level for level, wings in enumerate(RULE.split(" > ")) for wing in wings.split(" | ")}
MODULES_OF_THEIR_OWN = {"steps", "commands"}  # whose modules do not import each other


def wing_of(module: str) -> str:
    """Return the wing of a dotted module; the top's modules and __main__ are wings of their own."""
    name = [*module.split("."), ""][1]
    return "cli" if name == "__main__" else name


def imports(tree: ast.Module, name: str) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of all that a module imports, below TYPE_CHECKING and in functions, too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(name.split(".")[: -node.level]) if node.level else ""
            module = ".".join(part for part in (package, node.module) if part)
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def violations(source: str, file: str) -> list[str]:
    """Return a sentence for each import of a module of the package that is against the rule."""
    name = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    tree = ast.parse(source)
    if file.endswith("/__init__.py") and file != "simclr_steps/__init__.py":
        code = [node for node in tree.body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))]
        return [f"{file}:{node.lineno}: __init__.py holds a docstring and nothing else" for node in code]
    found = [
        f"{file}:{node.lineno}: write the whole name, imports are absolute"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    own = wing_of(name)
    for line, imported in imports(tree, name):
        if not imported.startswith("simclr_steps.") or imported.startswith("simclr_steps.__version__"):
            continue
        wing = wing_of(imported)
        for unknown in {own, wing} - set(LEVEL):
            found.append(f"{file}:{line}: {unknown} has no place in the rule: {RULE}")
        if not {own, wing} <= set(LEVEL):
            continue
        if own == wing in MODULES_OF_THEIR_OWN:
            found.append(f"{file}:{line}: {own} do not import each other, as here {imported}")
        elif own != wing and LEVEL[own] >= LEVEL[wing]:
            found.append(f"{file}:{line}: {own} may not import {wing}, as here {imported}: {RULE}")
    return found


def test_imports_go_one_way() -> None:
    found = []
    for file in sorted((ROOT / "simclr_steps").rglob("*.py")):
        found += violations(file.read_text(encoding="utf-8"), file.relative_to(ROOT).as_posix())
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("file", "source", "message"),
    [
        ("data/packed.py", "from simclr_steps.steps import pretrain", "data may not import steps"),
        (
            "data/packed.py",
            "def f():\n    from simclr_steps.networks.encoders import Encoder",
            "packed.py:2: data may not",
        ),
        ("data/packed.py", "if TYPE_CHECKING:\n    import simclr_steps.cli", "packed.py:2: data may not import cli"),
        ("training/trainer.py", "from simclr_steps.evaluation.metrics import f", "training may not import evaluation"),
        ("machine/logs.py", "from simclr_steps import files", "machine may not import files"),
        ("steps/umap.py", "from simclr_steps.steps.select import select", "steps do not import each other"),
        ("steps/umap.py", "from .select import select", "imports are absolute"),
        ("steps/umap.py", "from simclr_steps.attic.old import x", "attic has no place in the rule"),
        (
            "steps/__init__.py",
            '"""Docstring."""\n\nX = 1',
            "__init__.py:3: __init__.py holds a docstring and nothing else",
        ),
        ("steps/umap.py", "from simclr_steps.methods.loss import nt_xent\nfrom umap import UMAP", ""),
        (
            "data/splits.py",
            "from simclr_steps.data.packed import NO_LABEL\nfrom simclr_steps.files import checksum",
            "",
        ),
        ("__main__.py", "from simclr_steps.cli import parser", ""),
    ],
)
def test_what_is_against_the_rule_is_named(file: str, source: str, message: str) -> None:
    found = "\n".join(violations(source, f"simclr_steps/{file}"))
    assert message in found
    assert bool(found) == bool(message)
