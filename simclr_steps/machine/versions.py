"""What is installed, found without importing it."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from pathlib import Path

from simclr_steps import __version__

PACKAGE = Path(__file__).parents[1]


def version_line() -> str:
    """Return the versions of this program, of torch and of its CUDA, and a hash by which two copies are compared.

    The hash is that of the lock file, as in an image's name, or that of the code where no lock file lies beside it.
    """
    return f"simclr-workflow {__version__} ({_torch()}, {_hash()})"


def _torch() -> str:
    found = importlib.util.find_spec("torch")
    if not found or not found.origin:
        return "torch is not installed"
    text = Path(found.origin).with_name("version.py").read_text(encoding="utf-8")
    versions = dict(re.findall(r"^(__version__|cuda)\b.*= '(.+)'$", text, flags=re.MULTILINE))
    return f"torch {versions['__version__']}, {'CUDA ' + versions['cuda'] if 'cuda' in versions else 'no CUDA'}"


def _hash() -> str:
    lock = PACKAGE.parent / "requirements.lock"
    if lock.is_file():
        return f"requirements.lock {hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    digest = hashlib.sha256()
    for file in sorted(PACKAGE.rglob("*")):
        if file.suffix in (".py", ".j2"):
            digest.update(f"{file.relative_to(PACKAGE).as_posix()}\n".encode() + file.read_bytes())
    return f"code {digest.hexdigest()[:12]}"
