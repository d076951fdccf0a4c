"""A user's own function, named `module:function`: where its file is, what it holds, and how it is called."""

from __future__ import annotations

import hashlib
import importlib
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from sysconfig import get_path
from traceback import FrameSummary
from typing import Any

from simclr_steps.machine.code_hash import bare_source
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.augmentation import Augmentation

ENCODER, OWN_AUGMENTATION = "encoder", "augmentation.own"  # keys of the config that name a function

_in_use: dict[Path, tuple[str, str]] = {}  # by file: name and key of the function that this process has called last
_PACKAGE = Path(__file__).parents[1]
_LIBRARIES = [Path(get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")]


def is_own(encoder: str) -> bool:
    """Return whether an encoder's name is one of `module:function`."""
    return ":" in encoder and not encoder.startswith("timm:")


def own_code_hash(name: str, key: str = ENCODER) -> str:
    """Return 16 hexadecimal digits for the code of the module's file in the working folder, without importing it.

    Comments, docstrings and what the module imports do not count. Modules elsewhere have no hash, so that a file of
    weights cannot have what happens to be installed imported by naming it.

    Raises
    ------
    UserError
        When the module is not found there.
    """
    return hashlib.sha256(bare_source(_file(name, key, elsewhere=False)).encode()).hexdigest()[:16]


def own_code(name: str | None, key: str = ENCODER) -> list[str]:
    """Return the hash of the code of a user's own function, nothing where there is none."""
    return [own_code_hash(name, key)] if name and is_own(name) else []


def augmentation_code(augmentation: Augmentation | None) -> list[str]:
    """Return the hash of the code of an augmentation's own function, nothing where it has none."""
    return own_code(augmentation.own if augmentation else None, OWN_AUGMENTATION)


def call_own(encoder: str, **arguments: Any) -> Any:
    """Return what the function of an encoder returns when it is called with these arguments.

    Raises
    ------
    UserError
        As `own_function` does.
    """
    return own_function(encoder, ENCODER)(**arguments)


def own_function(name: str, key: str) -> Callable[..., Any]:
    """Return the function of a name; `key` is the config's, which messages name.

    The module is looked for in the working folder and then, as the user may trust one elsewhere, among what is
    installed.

    Raises
    ------
    UserError
        When it is not found or has no such function, and from the function when that fails.
    """
    file = _file(name, key, elsewhere=True)
    module, _, attribute = name.partition(":")
    with _told(name, key, file):
        function = getattr(importlib.import_module(module), attribute)

    def call(*arguments: Any, **named: Any) -> Any:
        _in_use[file] = (name, key)
        with _told(name, key, file):
            return function(*arguments, **named)

    return call


@contextmanager
def _told(name: str, key: str, file: Path) -> Iterator[None]:
    """Run the user's code, with modules of the working folder, and tell its failure in one sentence with its line."""
    with _working_folder_on_path():
        try:
            yield
        except (Exception, SystemExit) as error:  # which would end the step as if it were done
            places = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
            raise _fails(name, key, error, places) from error


def fault_of_own_code(error: BaseException) -> UserError | None:
    """Return an error of the step as one of the user's code, None where it passed through none.

    That code runs after the call of its function, too: an encoder's in each pass.
    """
    cause: BaseException | None = error
    while cause and _in_use:
        if places := [frame for frame in traceback.extract_tb(cause.__traceback__) if _is_users(Path(frame.filename))]:
            name, key = _in_use.get(Path(places[-1].filename), list(_in_use.values())[-1])
            return _fails(name, key, cause, places)
        cause = cause.__cause__ or cause.__context__
    return None


def _is_users(file: Path) -> bool:
    known = [_PACKAGE, *_LIBRARIES]
    return file in _in_use or (file.is_absolute() and not any(file.is_relative_to(folder) for folder in known))


def _file(name: str, key: str, *, elsewhere: bool) -> Path:
    """Return the module's file in the working folder or, if it may be elsewhere, among what is installed."""
    module = name.partition(":")[0]
    finders, places = (sys.meta_path, None) if elsewhere else ([PathFinder], [str(Path.cwd())])
    with _working_folder_on_path():
        try:
            spec = _find(module, finders, places)
            if spec is None or not str(spec.origin).endswith(".py"):
                place = " or among installed packages" if elsewhere else ", where own code must be"
                raise ModuleNotFoundError(f"no file of {module} in {Path.cwd()}{place}")
            file = Path(str(spec.origin))
            bare_source(file)
        except Exception as error:
            raise _fails(name, key, error) from error
    return file


def _find(module: str, finders: Sequence[Any], places: Sequence[str] | None) -> ModuleSpec | None:
    """Find a module as an import does, but without importing the packages around it, as importlib's find_spec would."""
    spec: ModuleSpec | None = None
    names = module.split(".")
    for end in range(1, len(names) + 1):
        name = ".".join(names[:end])
        specs = (finder.find_spec(name, places) for finder in finders)
        spec = next((found for found in specs if found), None)
        if spec is None:
            return None
        places = spec.submodule_search_locations
    return spec


def _fails(name: str, key: str, error: BaseException, places: Sequence[FrameSummary] = ()) -> UserError:
    """Return a failure as one sentence; the last of the places in the user's code is where it happened."""
    place = f" on line {places[-1].lineno} of {places[-1].filename}" if places else ""
    reason = " ".join(str(error).split())
    return UserError(f"{key}: {name} fails{place} ({type(error).__name__}{f': {reason}' if reason else ''}): fix it")


@contextmanager
def _working_folder_on_path() -> Iterator[None]:
    """Let modules of the working folder be imported, which the workflow's PYTHONSAFEPATH=1 does not."""
    before = list(sys.path)
    sys.path.insert(0, str(Path.cwd()))
    try:
        yield
    finally:
        sys.path[:] = before
