"""What a benchmark of a GPU has found: a file for each part in the work folder, and the record that has them all."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

import torch

from simclr_steps.files import read_json, write_json
from simclr_steps.machine.provenance import Record
from tests.benchmarks import speed
from tests.benchmarks.session import Session

Figures = dict[str, Any]


class Part:
    """The figures of one part, written with those of all others whenever there are more of them."""

    def __init__(self, session: Session, name: str, depends_on: Sequence[str], facts: Record) -> None:
        self.name = name
        self.file = session.options.work / "parts" / f"{name}.json"
        self._session, self._facts, self._made_of = session, facts, session.made_of(depends_on)
        self._before = read_part(session, name, self._made_of)
        self._started, self._clock = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()

    def is_done(self) -> bool:
        """Tell whether an earlier run finished it, made of the same."""
        return bool(self._before.get("done"))

    def write(self, figures: Figures, *, done: bool) -> None:
        """Write all that is known of this part, and the record anew."""
        part = {
            "done": done,
            "started": self._before.get("started", self._started),
            "slices": self._before.get("slices", 0) + 1,
            "seconds": round(self._before.get("seconds", 0.0) + time.monotonic() - self._clock, 2),
            "command": shlex.join(["python", "-m", "tests.benchmarks.gpu", *sys.argv[1:]]),
            "made_of": self._made_of,
            **figures,
        }
        write_json(self.file, part)
        write_record(self._session, self._facts)


def read_part(session: Session, name: str, made_of: Figures) -> Figures:
    """Return what an earlier run has found of a part that is made of the same, or nothing."""
    file = session.options.work / "parts" / f"{name}.json"
    part: Figures = read_json(file) if file.exists() else {}
    return part if _is_made_of(part, made_of) else {}


def _is_made_of(part: Figures, made_of: Figures) -> bool:
    found: Figures = part.get("made_of", {})
    return made_of.items() <= found.items()


def write_record(session: Session, facts: Record) -> None:
    """Write all that was found so far, by any run in this work folder; speeds are compared within one commit only."""
    parts = {file.stem: read_json(file) for file in sorted((session.options.work / "parts").glob("*.json"))}
    alike = {name: part for name, part in parts.items() if _is_made_of(part, session.basis)}
    content = {"device": device_facts(), "speed": speed.summary(alike), "parts": parts, **facts.finish()}
    write_json(session.options.record, content)


@cache
def device_facts() -> dict[str, Any]:
    """Return what torch and the driver tell of the GPU."""
    if not torch.cuda.is_available():
        return {"name": "none"}
    properties = torch.cuda.get_device_properties(0)
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    driver = subprocess.run(query, capture_output=True, text=True, check=False).stdout if shutil.which(query[0]) else ""
    return {
        "name": properties.name,
        "memory_bytes": properties.total_memory,
        "capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "driver": driver.strip(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "torch": torch.__version__,
    }
