"""A hash of the code that a step runs, blind to comments, docstrings and layout.

The template that a module fills in, such as page.html.j2 beside page.py, is part of its code.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[1]

# Settings reach a step by their values, which decide about reruns themselves, and machine/ changes how a step runs and
# never what it makes.
WITHOUT_EFFECT = frozenset({"settings", "machine"})


class _Source(NamedTuple):
    """What is kept of a file. Its syntax tree is not: its objects would keep Python's garbage collector busy."""

    bare: str
    imports: frozenset[str]  # modules of this package that it imports, anywhere in it, but those without effect


@cache
def code_hash(step: str) -> str:
    """Return 16 hexadecimal digits for a step's module and all modules of this package that it imports in turn."""
    digest = hashlib.sha256()
    for module in sorted(import_closure(f"steps.{step}")):
        digest.update(f"{module}\n{bare_source(_file(module))}\n".encode())
        for template in sorted(_file(module).parent.glob(f"{module.split('.')[-1]}.*.j2")):
            digest.update(template.read_bytes())
    return digest.hexdigest()[:16]


def import_closure(module: str) -> set[str]:
    """Return the dotted names, as in "data.packed", of the modules that a module's result depends on, its own too."""
    closure: set[str] = set()
    waiting = [module]
    while waiting:
        module = waiting.pop()
        if module not in closure:
            closure.add(module)
            waiting.extend(_read(_file(module)).imports)
    return closure


def bare_source(file: Path) -> str:
    """Return the code of a Python file without comments, docstrings and layout, alike in every version of Python."""
    return _read(file).bare


def _file(module: str) -> Path:
    return PACKAGE / f"{module.replace('.', '/')}.py"


@cache
def _read(file: Path) -> _Source:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in [tree, *_statements(tree)]:
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(f"{PACKAGE.name}."):
            origin = f"{node.module}.".removeprefix(f"{PACKAGE.name}.")  # of a wing, "data.", or of a module
            names.update([origin.rstrip("."), *(f"{origin}{alias.name}" for alias in node.names)])
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = node.body[_has_docstring(node) :]
    imports = (name for name in names if name.split(".")[0] not in WITHOUT_EFFECT and _file(name).exists())
    written: list[str] = []
    _write(tree, written)
    return _Source(" ".join(written), frozenset(imports))


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all statements in a node at any depth; ast.walk visits ten times as many nodes, all expressions too."""
    for block in ("body", "orelse", "finalbody", "handlers", "cases"):
        for statement in getattr(node, block, ()):
            yield statement
            yield from _statements(statement)


def _has_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    first = node.body[0] if node.body else None
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)


def _write(node: ast.AST, written: list[str]) -> None:
    """Write a syntax tree as nested parentheses, which differ less between versions than other forms.

    New versions add fields, empty in code that does not use them, and empty ones are left out. So is whether a name is
    read or set, each fourth node, as it follows from its place.
    """
    written.append(f"({type(node).__name__}")
    for name in node._fields:  # ast.iter_fields takes twice the time
        value = getattr(node, name, None)
        if isinstance(value, ast.expr_context):
            continue
        if isinstance(value, ast.AST):
            written.append(name)
            _write(value, written)
        elif isinstance(value, list):
            if value:
                written.append(f"{name} [")
                for item in value:
                    _write(item, written) if isinstance(item, ast.AST) else written.append(repr(item))
                written.append("]")
        elif value is not None:
            written.append(f"{name} {value!r}")
    written.append(")")
