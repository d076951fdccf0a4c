"""A real SLURM on this machine: two virtual nodes with stand-in GPUs, started and stopped by a test alone."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
NODES = ("node1", "node2")
GPUS = 4  # of a node; each is a device file like /dev/null
START_SECONDS = STOP_SECONDS = 20.0

# Requeueing, preemption by partition and quick decisions, but no accounting, as on many small clusters. A node has more
# cores than the machine, as the tests need many jobs at once and little work is done in them. A requeued job waits
# until its credential has expired. A job may overrun its limit by a minute, as the shortest limit, a minute, is less
# than the tests' slow start of two Snakemakes leaves for a time budget.
_CONFIG = """
ClusterName=virtual
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
GresTypes=gpu
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait=5
OverTimeLimit=1
MinJobAge=3600
SlurmdTimeout=5
SlurmctldTimeout=20
ReturnToService=2
SlurmdParameters=config_overrides
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=64 RealMemory=512000 Gres=gpu:{gpus}
NodeName=node2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=64 RealMemory=512000 Gres=gpu:{gpus}
PartitionName=main Nodes=ALL Default=YES LLN=YES MaxTime=2-00:00:00 PriorityTier=2
PartitionName=idle Nodes=ALL LLN=YES MaxTime=2-00:00:00 PriorityTier=1
"""


class Cluster:
    """The daemons of one cluster, all children of this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        config = folder / "slurm.conf"
        # The executor's job step drops SLURM_CONF before it calls srun, which elsewhere finds the file in /etc.
        wrapper = folder / "bin/srun"
        wrapper.parent.mkdir()
        wrapper.write_text(f'#!/bin/sh\nSLURM_CONF={config} exec {shutil.which("srun")} "$@"\n')
        wrapper.chmod(0o755)
        self.environment = {**os.environ, "SLURM_CONF": str(config), "PATH": f"{wrapper.parent}:{os.environ['PATH']}"}

    def start(self) -> None:
        """Write the configuration and start the daemons; return when both nodes take jobs."""
        self._configure()
        self._start("munged", "--foreground", "--force", *self._munge_files())
        wait_until(lambda: (self.folder / "munge.socket").exists(), START_SECONDS, "munge listens")
        self._start("slurmctld", "-D", "-c")
        for node in NODES:
            self.start_node(node)
        wait_until(lambda: self.idle() == set(NODES), START_SECONDS, "both nodes are idle")

    def _configure(self) -> None:
        ports = _free_ports(3)
        values = {"host": socket.gethostname().partition(".")[0], "folder": self.folder, "ports": ports, "gpus": GPUS}
        (self.folder / "slurm.conf").write_text(_CONFIG.format(**values))
        (self.folder / "munge.key").write_bytes(secrets.token_bytes(1024))
        (self.folder / "munge.key").chmod(0o600)
        lines = []
        for folder in ("state", *NODES):
            (self.folder / folder).mkdir()
        for node in NODES:
            for gpu in range(GPUS):
                device = self.folder / f"{node}-gpu{gpu}"
                os.mknod(device, 0o666 | 0o020000, os.makedev(1, 3))
                lines.append(f"NodeName={node} Name=gpu File={device}\n")
        (self.folder / "gres.conf").write_text("".join(lines))

    def _munge_files(self) -> list[str]:
        names = {"socket": "munge.socket", "key-file": "munge.key", "pid-file": "munged.pid", "seed-file": "munge.seed"}
        return [f"--{option}={self.folder / name}" for option, name in names.items()]

    def _start(self, program: str, *arguments: str, name: str | None = None) -> None:
        with (self.folder / f"{name or program}.log").open("ab") as log:
            self._daemons[name or program] = subprocess.Popen(
                [program, *arguments], stdout=log, stderr=log, env=self.environment
            )

    def start_node(self, node: str) -> None:
        """Switch a node on."""
        self._start("slurmd", "-D", "-N", node, name=node)

    def idle(self) -> set[str]:
        """Return the nodes that wait for jobs."""
        lines = self.ask("sinfo", "-h", "-N", "-p", "main", "-o", "%N %t").split("\n")
        return {line.split()[0] for line in lines if line.endswith(" idle")}

    def ask(self, *command: str) -> str:
        """Run one of SLURM's own commands; return what it printed, nothing if it failed."""
        return subprocess.run(command, capture_output=True, text=True, check=False, env=self.environment).stdout.strip()

    def jobs(self) -> list[str]:
        """Return the numbers of the jobs that wait, run or end."""
        return self.ask("squeue", "-h", "-o", "%A").split()

    def cut_off(self, node: str) -> None:
        """Switch a node off, as a loss of power does: its daemon, its jobs and who watches over them end at once."""
        self._daemons[node].kill()
        for pid in self._processes_of(node):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _processes_of(self, node: str) -> set[int]:
        """Return the processes of a node's jobs and of the daemons, slurmstepd, that watch over them."""
        signs = {f"SLURMD_NODENAME={node}", f"SLURM_CONF={self.environment['SLURM_CONF']}"}
        found = set()
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if signs <= set((folder / "environ").read_text(errors="replace").split("\0")):
                    parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                    found |= {int(folder.name)}
                    if Path(f"/proc/{parent}/comm").read_text() == "slurmstepd\n":
                        found |= {parent}
        return found

    def stop(self) -> None:
        """Cancel what is left of the jobs and stop the daemons."""
        try:
            self.ask("scancel", "--user", "root")
            wait_until(lambda: not self.jobs(), STOP_SECONDS, "no job is left")
        finally:
            for daemon in reversed(self._daemons.values()):
                daemon.terminate()
                daemon.wait(STOP_SECONDS)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_until(is_so: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)


def skip_without_slurm() -> None:
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed: .ci/slurm.sh does that")
    if os.geteuid():
        pytest.skip("only root can start a cluster on one machine")
