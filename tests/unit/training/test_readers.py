"""Readers that cannot pass on a batch are not used; one that dies or hangs ends training with one sentence."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch.utils.data import Sampler

from simclr_steps.data.packed import Pixels
from simclr_steps.machine.errors import UserError
from simclr_steps.training import readers
from simclr_steps.training.loading import Images
from simclr_steps.training.readers import usable_readers, watched_readers
from tests.benchmarks.waiting import wait_until

REPOSITORY = Path(__file__).parents[3]
CPU = torch.device("cpu")
READ = """
import logging
import numpy as np, torch
from tests.unit.training.test_readers import Batches
from simclr_steps.training.loading import Images
logging.basicConfig(format="%(message)s")
def read():
    images = np.arange(64 * 2**14).astype(np.uint8).reshape(64, 128, 128, 1)
    loader = Images([images]).loader(Batches(np.arange(64).reshape(-1, 8)), torch.device("cpu"), 8, 2)
    assert all(np.array_equal(read, images[rows]) for rows, read in loader)
    return loader.num_workers
print(read())
"""


class Batches(Sampler[npt.NDArray[np.int64]]):
    """The given batches."""

    def __init__(self, batches: npt.NDArray[np.int64]) -> None:
        self._batches = batches

    def __iter__(self):  # type: ignore[no-untyped-def]
        yield from self._batches


def read(*prefix: str, **environment: str) -> tuple[str, list[str]]:
    """Read 1 MB by two readers in a process of its own; return how many were used, and what was said."""
    done = subprocess.run(
        [*prefix, sys.executable, "-c", READ],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr.splitlines()


@pytest.mark.slow
def test_with_room_enough_readers_are_used() -> None:
    assert read() == ("2", [])


@pytest.mark.slow
def test_a_folder_for_temporary_files_with_a_long_path_is_named(tmp_path: Path) -> None:
    folder = tmp_path / ("job" * 40)
    folder.mkdir()
    used, said = read(TMPDIR=str(folder))
    assert used == "0"
    assert said == [
        f"warning: reading images without reader processes because they cannot use {folder} (AF_UNIX path too "
        "long): set TMPDIR to another folder, with a short path"
    ]


def test_too_little_shared_memory_is_named_with_what_is_needed() -> None:
    own_mounts = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=256k tmpfs /dev/shm && exec "$@"', "sh"]
    if os.geteuid() != 0 or subprocess.run([*own_mounts, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("a small /dev/shm cannot be mounted here")
    used, said = read(*own_mounts)
    assert used == "0"
    assert said == [
        "warning: reading images without reader processes because /dev/shm has 0 of the 1 MB that they need: "
        "enlarge it, as docker run --shm-size=1m does"
    ]


class Stuck(Images):
    """Images of a file system that does not answer after the first batch."""

    def read(self, indices: npt.NDArray[np.int64], into: Pixels | None = None) -> Pixels:
        if indices[0]:
            time.sleep(10)
        return super().read(indices, into)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize(
    ("kind", "sent", "what"),
    [
        (Stuck, signal.SIGKILL, "died, perhaps out of memory"),
        (Stuck, None, "did not answer"),
        (Images, signal.SIGSTOP, "did not answer"),
    ],
    ids=["killed", "hangs", "stopped"],
)
def test_a_reader_that_is_killed_or_does_not_answer_ends_the_training_and_is_gone(
    monkeypatch: pytest.MonkeyPatch,
    kind: type[Images],
    sent: signal.Signals | None,
    what: str,
    device: str,
) -> None:
    """The memory of a batch that a stopped reader has announced must still be fetched from it: for a GPU, by a thread.

    So there are more batches than that thread can have fetched before the reader is stopped.
    """
    images = kind([np.zeros((80, 8, 8, 1), dtype=np.uint8)])
    loader = images.loader(Batches(np.arange(80).reshape(40, 2)), torch.device(device), 2, 1)
    batches = iter(loader)
    next(batches)
    reader = loader._iterator._workers[0]  # type: ignore[union-attr]
    monkeypatch.setattr(readers, "LONGEST_WAIT", 2.0)
    if sent == signal.SIGSTOP and device == "cpu":
        announced = loader._iterator._worker_result_queue  # type: ignore[union-attr]
        wait_until(lambda: not announced.empty())
    told: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda failed: told.append(str(failed.exc_value)))
    sentence = rf"^a process that reads images {what}: run again, with --workers 0 \(pretrain, predict\) if it happens"
    with pytest.raises(UserError, match=sentence), watched_readers():
        if sent:
            os.kill(reader.pid, sent)
        list(batches)
    assert not reader.is_alive()
    assert told == []


def test_readers_are_tried_with_all_that_they_keep_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(readers, "_obstacle", sizes.append)
    assert usable_readers(4, 100) == 4
    assert usable_readers(0, 100) == 0
    assert sizes == [1000]
