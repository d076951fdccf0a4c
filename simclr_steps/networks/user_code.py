"""A user's own encoder, named `module:function`: where its file is, what it holds, and how it is called."""

from __future__ import annotations

import hashlib
import importlib
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from simclr_steps.machine.code_hash import bare_source
from simclr_steps.machine.errors import UserError


def is_own(encoder: str) -> bool:
    """Return whether an encoder's name is one of `module:function`."""
    return ":" in encoder and not encoder.startswith("timm:")


def own_code_hash(encoder: str) -> str:
    """Return 16 hexadecimal digits for the code of the module's file, without importing it.

    Comments, docstrings and what the module imports do not count.

    Raises
    ------
    UserError
        As `call_own` does.
    """
    return hashlib.sha256(bare_source(_file(encoder)).encode()).hexdigest()[:16]


def call_own(encoder: str, **arguments: Any) -> Any:
    """Return what the function returns when it is called with these arguments.

    The module is looked for in the working folder and then among what is installed.

    Raises
    ------
    UserError
        When it is not found, has no such function, or fails.
    """
    file = _file(encoder)
    module, _, function = encoder.partition(":")
    with _working_folder_on_path():
        try:
            return getattr(importlib.import_module(module), function)(**arguments)
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            lines = [frame.lineno for frame in frames if frame.filename == str(file)]
            raise _fails(encoder, error, f" in line {lines[-1]} of {file}" if lines else "") from error


def _file(encoder: str) -> Path:
    module = encoder.partition(":")[0]
    with _working_folder_on_path():
        try:
            spec = _find(module)
            if spec is None or not str(spec.origin).endswith(".py"):
                raise ModuleNotFoundError(f"no file of {module} in {Path.cwd()} or among installed packages")
            file = Path(str(spec.origin))
            bare_source(file)
        except Exception as error:
            raise _fails(encoder, error) from error
    return file


def _find(module: str) -> ModuleSpec | None:
    """Find a module as an import does, but without importing the packages around it, as importlib's find_spec would."""
    spec, places = None, None
    names = module.split(".")
    for end in range(1, len(names) + 1):
        name = ".".join(names[:end])
        specs = (finder.find_spec(name, places) for finder in sys.meta_path)
        spec = next((found for found in specs if found), None)
        if spec is None:
            return None
        places = spec.submodule_search_locations
    return spec


def _fails(encoder: str, error: Exception, place: str = "") -> UserError:
    return UserError(f"encoder: {encoder} fails{place} ({type(error).__name__}: {error}): fix it")


@contextmanager
def _working_folder_on_path() -> Iterator[None]:
    """Let modules of the working folder be imported, which the workflow's PYTHONSAFEPATH=1 does not."""
    before = list(sys.path)
    sys.path.insert(0, str(Path.cwd()))
    try:
        yield
    finally:
        sys.path[:] = before
