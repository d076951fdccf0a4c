"""The record of what made a result."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from simclr_steps.machine.code_hash import code_hash

_DISTRIBUTION = "simclr-workflow"
_PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "lightning",
    "torchmetrics",
    "scikit-learn",
    "umap-learn",
    "numpy",
    "pandas",
)


class Record:
    """Started when a step starts; `finish` returns what goes into the step's JSON output."""

    def __init__(
        self,
        step: str,
        settings: BaseModel | None,
        data_hash: str | None,
        seed: int | None = None,
        augmentation_code: Sequence[str] = (),  # of the user's own function
    ) -> None:
        self.code_hash = code_hash(step)
        self._started = datetime.now(UTC)
        self._clock = time.monotonic()
        self._facts: dict[str, Any] = {
            "step": step,
            "settings": settings.model_dump(mode="json") if settings else None,
            "seed": seed,
            "code_hash": self.code_hash,
            "data_hash": data_hash,
        }
        if augmentation_code:
            self._facts["own_augmentation_hash"] = augmentation_code[0]

    def finish(self) -> dict[str, Any]:
        """Return the record, as JSON knows it."""
        return {
            **self._facts,
            "command": _command(),
            "started": self._started.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self._clock, 2),
            "versions": dict(_versions()),
            "hardware": _hardware(),
            "image": _image(),
        }


def _command() -> str:
    """Return the command line that runs this step again, in the same working folder, as a shell takes it.

    What starts the step, such as Snakemake, may have it find the package in a folder that is gone later: only where
    Python has none installed does the command name that folder.
    """
    words = [sys.executable, "-P", "-m", "simclr_steps", *sys.argv[1:]]  # -P: no module from the working folder
    if not _is_installed():
        words = ["env", f"PYTHONPATH={Path(__file__).parents[2]}", *words]
    return shlex.join(words)


def _is_installed() -> bool:
    try:
        importlib.metadata.version(_DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


@cache
def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _image() -> dict[str, str | None] | None:
    """Return the image that the step runs in, as the workflow names it, and its digest where known; or None."""
    inside = os.environ.get("APPTAINER_CONTAINER") or os.environ.get("SINGULARITY_CONTAINER")
    if not inside:
        return None
    return {"file": os.environ.get("SIMCLR_IMAGE", inside), "sha256": os.environ.get("SIMCLR_IMAGE_SHA256") or None}


def _hardware() -> dict[str, Any]:
    torch = sys.modules.get("torch")  # a step that computes without torch need not load it for its record
    used = range(torch.cuda.device_count()) if torch and torch.cuda.is_initialized() else []
    return {
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads() if torch else None,  # of each process; on a CPU, sums are rounded by them
        "gpus": [torch.cuda.get_device_name(n) for n in used] if torch else [],
    }


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as stream:
            return next(line.split(":", 1)[1].strip() for line in stream if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
