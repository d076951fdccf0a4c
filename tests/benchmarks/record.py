"""What a benchmark of a GPU has found: a file for each part in the work folder, and the record that has them all."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from functools import cache
from typing import Any

import torch

from simclr_steps.files import read_json, write_json
from simclr_steps.machine.provenance import Record
from tests.benchmarks import speed
from tests.benchmarks.session import Session

Figures = dict[str, Any]
_OF_A_PRETRAINING = ("accuracy", "finetune")


class Part:
    """The figures of one part, written with those of all others whenever there are more of them."""

    def __init__(self, session: Session, name: str, facts: Record) -> None:
        self.name = f"{name}-{session.trained.name}" if name in _OF_A_PRETRAINING else name
        self._session, self._facts = session, facts
        self.file = session.options.work / "parts" / f"{self.name}.json"
        self._before: Figures = read_json(self.file) if self.file.exists() else {"slices": 0, "seconds": 0.0}
        self._made_of = {"commit": session.options.commit, "images": session.images.description}
        self._started, self._clock = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()

    def is_done(self) -> bool:
        """Tell whether an earlier run finished it, with the same code on the same images."""
        same = all(self._before.get(key) == value for key, value in self._made_of.items())
        return same and bool(self._before.get("done"))

    def write(self, figures: Figures, *, done: bool) -> None:
        """Write all that is known of this part, and the record anew."""
        part = {
            "done": done,
            "started": self._before.get("started", self._started),
            "slices": self._before["slices"] + 1,
            "seconds": round(self._before["seconds"] + time.monotonic() - self._clock, 2),
            "command": shlex.join(["python", "-m", "tests.benchmarks.gpu", *sys.argv[1:]]),
            **self._made_of,
            "seed": self._session.options.seed,
            **figures,
        }
        write_json(self.file, part)
        write_record(self._session, self._facts)


def write_record(session: Session, facts: Record) -> None:
    """Write all that was found so far, by any run in this work folder."""
    parts = {file.stem: read_json(file) for file in sorted((session.options.work / "parts").glob("*.json"))}
    content = {"device": device_facts(), "speed": speed.summary(parts), "parts": parts, **facts.finish()}
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
