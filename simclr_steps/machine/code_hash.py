"""A hash of the code that a step runs, blind to comments, docstrings and layout."""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]

# Settings reach a step by their values, which decide about reruns themselves, and errors change no result.
WITHOUT_EFFECT = frozenset({"settings.blocks", "machine.errors"})


@cache
def code_hash(step: str) -> str:
    """Return 16 hexadecimal digits for a step's module and all modules of this package that it imports in turn."""
    digest = hashlib.sha256()
    for module in sorted(import_closure(f"steps.{step}")):
        digest.update(f"{module}\n{bare_source(_file(module))}\n".encode())
    return digest.hexdigest()[:16]


def import_closure(module: str) -> set[str]:
    """Return the dotted names, as in "data.packed", of the modules that a module's result depends on, its own too."""
    closure: set[str] = set()
    waiting = [module]
    while waiting:
        module = waiting.pop()
        if module not in closure:
            closure.add(module)
            waiting.extend(_imports(module))
    return closure


def _file(module: str) -> Path:
    return PACKAGE / f"{module.replace('.', '/')}.py"


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


@cache
def _imports(module: str) -> frozenset[str]:
    """Return the modules of this package that a module imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(_tree(_file(module))):
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(f"{PACKAGE.name}."):
            origin = f"{node.module}.".removeprefix(f"{PACKAGE.name}.")  # of a wing, "data.", or of a module
            found.update([origin.rstrip("."), *(f"{origin}{alias.name}" for alias in node.names)])
    return frozenset(name for name in found - WITHOUT_EFFECT if _file(name).exists())


@cache
def bare_source(file: Path) -> str:
    """Return the code of a Python file without comments and docstrings, in one layout."""
    tree = _tree(file)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:]
    return ast.unparse(tree)
