"""Whether a network is compiled: a matter of hardware, as results change no more than they do on another GPU."""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path

from simclr_steps.errors import UserError

COMPILE = ("auto", "always", "never")

_STEPS_TO_PAY = 5_000  # to compile takes about a minute, and compiled steps of 0.1 s are about a tenth faster


def compiles(choice: str, *, gpu: bool, steps: int) -> bool:
    """Decide for a training of `steps` steps; "auto" compiles on a GPU, and when the training is long enough.

    Raises UserError when "always" is asked for and what torch.compile needs is not installed.
    """
    if choice == "always" and not _can_compile(gpu):
        raise UserError("--compile always needs g++ and Python's header files: install them, or leave --compile out")
    return choice == "always" or (choice == "auto" and gpu and steps >= _STEPS_TO_PAY and _can_compile(gpu))


def _can_compile(gpu: bool) -> bool:
    """Tell whether there is a C compiler, which a GPU's kernels need to be launched, or one of C++ for a CPU's."""
    compilers = (os.environ.get("CC"), "gcc", "clang") if gpu else (os.environ.get("CXX"), "g++", "clang++")
    headers = Path(sysconfig.get_path("include"), "Python.h")
    return headers.exists() and any(name and shutil.which(name) for name in compilers)
