"""Whether a training is compiled: a matter of hardware, as results change no more than they do on another GPU."""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path

from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log

COMPILE = ("auto", "always", "never")

STEPS_TO_PAY = 11_000  # to compile takes 24 s, and saves 2.2 ms a step: ResNet-18 at 32 pixels on an H200


def compiles(choice: str, *, gpu: bool, steps: int, obstacle: str | None = None) -> bool:
    """Decide for a training of `steps` steps; "auto" compiles on a GPU, and when the training is long enough.

    `obstacle` says in a sentence why this training cannot be compiled and what would change that, where it cannot.

    Raises
    ------
    UserError
        If "always" is requested but not possible.
    """
    if choice == "never" or (choice == "auto" and not (gpu and steps >= STEPS_TO_PAY)):
        return False
    obstacle = obstacle or missing(gpu)
    if obstacle and choice == "always":
        raise UserError(f"--compile always: {obstacle}, or leave --compile out")
    if obstacle:
        log.info("training without torch.compile: %s", obstacle)
    return not obstacle


def missing(gpu: bool) -> str | None:
    """Say what torch.compile lacks: a C compiler, with which a GPU's kernels are launched, or C++ for a CPU's."""
    compilers = (os.environ.get("CC"), "gcc", "clang") if gpu else (os.environ.get("CXX"), "g++", "clang++")
    headers = Path(sysconfig.get_path("include"), "Python.h")
    if headers.exists() and any(name and shutil.which(name) for name in compilers):
        return None
    return f"it needs {'gcc' if gpu else 'g++'} and Python's header files: install them"
