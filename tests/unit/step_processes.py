"""Steps as processes of their own, and what they write. They are forked from one server, which has imported torch."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NoReturn

import torch
from safetensors.torch import load_file
from torch import Tensor

from simclr_steps.files import read_json, read_table
from tests.forked import SERVER

TIMES = ("images_per_second", "seconds")

OWN_ENCODERS = Path(__file__).parents[1] / "own_encoders.py"


def link_own_encoders(folder: Path) -> None:
    """Have tests.own_encoders in a working folder other than the repository, as own code is run from there only."""
    (folder / "tests").symlink_to(OWN_ENCODERS.parent, target_is_directory=True)


def start(arguments: list[str], folder: Path, **environment: str) -> BaseProcess:
    """Start a step in `folder`, where own_encoders.py is and said.txt receives what it says."""
    return _start(arguments, folder, environment, in_own_group=False)


def start_group(arguments: list[str], folder: Path) -> BaseProcess:
    """Start a step as `start` does, in a process group of its own: it and all that it starts."""
    return _start(arguments, folder, {}, in_own_group=True)


def _start(arguments: list[str], folder: Path, environment: Mapping[str, str], *, in_own_group: bool) -> BaseProcess:
    shutil.copy(OWN_ENCODERS, folder)
    process = SERVER.Process(target=run_here, args=(arguments, folder, environment, in_own_group))
    process.start()
    return process


def start_all(count: int, command: list[str], folder: Path) -> list[BaseProcess]:
    """Start the processes of one step on one machine, the leading one first."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    where = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
    command = [*command, "--processes", str(count)]
    return [start(command, folder, LOCAL_RANK=str(rank), **where) for rank in range(count)]


def run(arguments: list[str], folder: Path) -> None:
    """Run a step to its end."""
    process = start(arguments, folder)
    process.join()
    assert process.exitcode == 0, said(folder)


def wait_for_saves(count: int, folder: Path, is_alive: Callable[[], bool]) -> None:
    """Wait until the training in a folder has saved itself `count` times or ended."""
    before, seen = _saves(folder), set[int]()
    while len(seen - before) < count and is_alive():
        time.sleep(0.001)
        seen |= _saves(folder)


def _saves(folder: Path) -> set[int]:
    """Return when the existing checkpoints were written."""
    times = set()
    for file in folder.glob("work/*/*.ckpt"):
        with suppress(FileNotFoundError):  # it has just become the generation before
            times.add(file.stat().st_mtime_ns)
    return times


def left_in_work(folder: Path) -> list[str]:
    """Return the names in the only work folder of the trainings in a folder."""
    (work,) = (folder / "work").iterdir()
    return sorted(path.name for path in work.iterdir())


FINISHED = ["lock", "published", "published.json"]  # what is left in a work folder


def said(folder: Path) -> str:
    """Return what all steps in a folder have said so far."""
    return (folder / "said.txt").read_text()


def run_here(
    arguments: list[str], folder: Path, environment: Mapping[str, str], in_own_group: bool = False
) -> NoReturn:
    """Run a step in this process, which it ends."""
    if in_own_group:
        os.setpgid(0, 0)
    os.chdir(folder)
    os.environ.update(environment)
    if "LOCAL_RANK" in environment:  # the processes of a training, which one of them would start
        os.environ["SIMCLR_LEADER"] = str(os.getppid())
    with (folder / "said.txt").open("a") as stream:
        os.dup2(stream.fileno(), 2)
    sys.argv = ["simclr_steps", *arguments]
    torch.set_num_threads(1)
    from simclr_steps.__main__ import main

    sys.exit(main())


def weights(file: Path) -> dict[str, Tensor]:
    """Return the weights that a candidate or a network's file holds."""
    found: dict[str, Tensor] = (
        torch.load(file, weights_only=True)["weights"] if file.suffix == ".ckpt" else load_file(file)
    )
    return found


def content(out: Path) -> dict[str, Any]:
    """Return all that a training wrote, but for the clock and the machine."""
    found: dict[str, Any] = {}
    for file in sorted(out.iterdir()):
        if file.suffix == ".csv":
            found[file.name] = [{k: v for k, v in row.items() if k not in TIMES} for row in read_table(file)]
        elif file.suffix in (".ckpt", ".safetensors"):
            found[file.name] = {name: tensor.numpy().tobytes() for name, tensor in weights(file).items()}
        elif file.name == "metrics.json":
            found[file.name] = {**read_json(file), "run": None}
        elif file.suffix == ".npz":
            found[file.name] = file.read_bytes()
        else:
            found[file.name] = None
    return found
