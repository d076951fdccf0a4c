"""The processes of a step, on one machine or on several that train together."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import select
import signal
from contextlib import suppress
from pathlib import Path
from threading import Thread, get_ident

from simclr_steps.machine.errors import UserError

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of malloc.h
_PR_SET_PDEATHSIG = 1  # of prctl.h
_LEADER = "SIMCLR_LEADER"  # the number of the process that starts those that compute with it on its node
_OF_ONE_NODE = ("LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT")


def leads() -> bool:
    """Return whether this process speaks and writes for all that compute together."""
    return leads_node() and os.environ.get("NODE_RANK", "0") == "0"


def forget_foreign_ranks(nodes: int) -> None:
    """Drop what another launcher left in the environment, unless a step has started this process to compute with it.

    With it the process would log nothing, or wait for others. If a launcher starts a process on each of several nodes,
    everything is kept except the local rank, as the step itself starts the other processes on its node.
    """
    if os.environ.get(_LEADER) != str(os.getppid()):
        for name in _OF_ONE_NODE if nodes == 1 else ("LOCAL_RANK",):
            os.environ.pop(name, None)
    if leads_node():
        os.environ[_LEADER] = str(os.getpid())


def leads_node() -> bool:
    """Return whether this process starts those that compute with it on its node."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def die_with_parent() -> None:
    """Have the system kill this process when the one that started it dies, however it dies, so that none is left."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):  # only Linux has it
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = multiprocessing.parent_process()
    if parent and not parent.is_alive():  # it died before
        signal.raise_signal(signal.SIGKILL)


STARTER = "SIMCLR_STARTER"  # the process that a step ends with, as `as_starter` names it


def as_starter() -> str:
    """Return what names this process to the steps that are to end with it, wherever they run; "" if nothing does."""
    return f"{os.getpid()}@{_here()}" if _here() else ""


def _here() -> str:
    """Return an identifier of the scope of process ids: this boot of the machine, and the container's PID namespace."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}-{Path('/proc/self/ns/pid').stat().st_ino}"
    return ""


def end_with_starter() -> None:
    """Have this step get SIGTERM when the process that STARTER names ends, however it ends.

    That process is not the parent: the shell between them lives on when it is killed. A step without STARTER, or on
    another machine, goes on.
    """
    process, _, where = os.environ.get(STARTER, "").partition("@")
    if not process or where != _here() or not hasattr(os, "pidfd_open"):  # only Linux has it
        return
    try:
        descriptor = os.pidfd_open(int(process))
    except ProcessLookupError:
        signal.raise_signal(signal.SIGTERM)
    except OSError:  # an old kernel, or a container that forbids it
        return
    else:
        Thread(target=_end_with, args=(descriptor, get_ident()), daemon=True).start()


def _end_with(process: int, thread: int) -> None:
    """Wait for the end of a process, and interrupt what a thread does or waits for."""
    poll = select.poll()
    poll.register(process, select.POLLIN)
    poll.poll()
    signal.pthread_kill(thread, signal.SIGTERM)


def keep_freed_memory() -> None:
    """Let glibc keep freed memory, which would be mapped and cleared again in every step: a tenth of its time."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # other C libraries know no such settings
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


_LAUNCH = ("MASTER_ADDR", "MASTER_PORT", "SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_SRUN_COMM_PORT")
_FIRST_PORT, _PORTS = 20_000, 10_000  # below those that Linux hands out by itself


def join_nodes(nodes: int) -> None:
    """Tell Lightning this machine's number and where the first one listens, from what srun or another launcher says.

    A launcher that is not SLURM's sets NODE_RANK, MASTER_ADDR and MASTER_PORT itself.

    Raises
    ------
    UserError
        When no launcher sets them.
    """
    if nodes == 1 or "NODE_RANK" in os.environ:
        return
    try:
        rank, address, job = (os.environ[f"SLURM_{name}"] for name in ("NODEID", "LAUNCH_NODE_IPADDR", "JOB_ID"))
    except KeyError as error:
        raise UserError(f"--nodes {nodes} needs a process on each: start it with srun") from error
    os.environ |= {"NODE_RANK": rank, "MASTER_ADDR": address, "MASTER_PORT": str(_FIRST_PORT + int(job) % _PORTS)}


def launch() -> str | None:
    """Return what the processes of this launch have in common, on all nodes, and no other has; None on one node."""
    if "NODE_RANK" not in os.environ:
        return None
    return "-".join(os.environ[name] for name in _LAUNCH if name in os.environ)
