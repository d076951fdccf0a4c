"""Steps that start in no time: forked from a server that has imported what takes a new Python five seconds.

For tests of what a whole run makes. A test of how processes start and end, or of their environment, needs real ones.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import json
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

PYTHON = Path(__file__).with_name("warm_python")
_OWN = ("simclr_steps", "tests")


@cache
def warm_environment() -> dict[str, str]:
    """Return the environment by which PYTHON finds the server; the first of pytest's processes that asks starts it."""
    owner = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    folder = Path(tempfile.gettempdir(), f"warm_steps-{owner}")
    folder.mkdir(mode=0o700, exist_ok=True)
    address = folder / "socket"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not address.exists():
            _start(address, owner)
    return {"WARM_STEPS": str(address)}


def _start(address: Path, owner: int) -> None:
    """Start a server that ends with the process `owner`, which may be its grandparent."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(address))
    listening.listen()
    command = [sys.executable, "-m", "tests.warm_steps", str(listening.fileno()), str(owner), str(address.parent)]
    environment = {**os.environ, "NUMBA_THREADING_LAYER": "workqueue"}  # the only one that may be forked
    subprocess.Popen(
        command, cwd=PYTHON.parents[1], env=environment, pass_fds=[listening.fileno()], stdin=subprocess.DEVNULL
    )
    listening.close()


def serve(listening: socket.socket, owner: int) -> None:
    """Fork a keeper of one step for each connection, as long as the owner lives."""
    gc.freeze()  # else each step would look through all that is imported, and so copy its memory
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system clears away the keepers that have ended
    listening.settimeout(1)
    while Path(f"/proc/{owner}").exists():
        try:
            connection, _ = listening.accept()
        except TimeoutError:
            continue
        if not os.fork():
            listening.close()
            _keep(connection)
        connection.close()


def _keep(connection: socket.socket) -> None:
    """Start a step as a process of its own and tell the client its number and exit status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, descriptors, _, _ = socket.recv_fds(connection, 8, 3)
    message = connection.makefile("rb").read(int.from_bytes(size, "big"))
    if not (step := os.fork()):
        connection.close()
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
        _become(*json.loads(message))
    connection.sendall(f"{step}\n".encode())
    connection.sendall(f"{os.waitstatus_to_exitcode(os.waitpid(step, 0)[1])}\n".encode())
    os._exit(0)


def _become(arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Run a step as `python -m simclr_steps` does, on the code that the environment names, and raise SystemExit."""
    import torch

    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    torch.set_num_threads(int(environment.get("OMP_NUM_THREADS", "1")))
    sys.path[0] = environment["PYTHONPATH"]
    _forget_own()
    sys.argv = arguments[1:]
    runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)


def _forget_own() -> None:
    """Forget the modules of this checkout, as the step has those of the workflow that starts it."""
    for name in [name for name in sys.modules if name.partition(".")[0] in _OWN]:
        del sys.modules[name]


def _warm_up() -> None:
    """Import what steps import, and have numba compile what UMAP calls, which takes longer than all that."""
    import numpy as np

    from simclr_steps.cli.table import STEPS
    from simclr_steps.evaluation.umap_layout import layout
    from simclr_steps.settings.umap import UmapSettings

    for step in STEPS.values():
        importlib.import_module(f"simclr_steps.{step.wing}.{step.name}")
    features = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    layout(UmapSettings(), features, np.zeros(50, dtype=np.int64))


if __name__ == "__main__":
    _warm_up()
    serve(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]))
    shutil.rmtree(sys.argv[3])
