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
START_SECONDS = STOP_SECONDS = 120.0

# Requeueing, preemption by partition and quick decisions, but no accounting, as on many small clusters. A node has more
# cores than the machine, as the tests need many jobs at once and little work is done in them. The daemons are patient
# with one another, as a busy machine lets them wait. In the partition `main` a job may overrun its limit, as the
# shortest limit, a minute, is less than a busy machine needs until the step inside has started.
_CONFIG = """
ClusterName=virtual
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
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
KillWait=30
MinJobAge=3600
MessageTimeout=60
SlurmdTimeout=300
SlurmctldTimeout=300
ReturnToService=2
SlurmdParameters=config_overrides
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=64 RealMemory=512000 Gres=gpu:{gpus}
NodeName=node2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=64 RealMemory=512000 Gres=gpu:{gpus}
PartitionName=main Nodes=ALL Default=YES LLN=YES MaxTime=2-00:00:00 PriorityTier=2 OverTimeLimit=UNLIMITED
PartitionName=idle Nodes=ALL LLN=YES MaxTime=2-00:00:00 PriorityTier=1
"""


class Cluster:
    """The daemons of one cluster, all children of this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        config = folder / "slurm.conf"
        (folder / "bin").mkdir()
        # The executor's job step drops SLURM_CONF before it calls srun, which elsewhere finds the file in /etc.
        self._write_program("srun", f'SLURM_CONF={config} exec {shutil.which("srun")} "$@"')
        # Asked by an executor that was told not to, when scontrol was slow to tell how long finished jobs are kept.
        self._write_program("sacct", "[ $# -gt 8 ] && exec squeue --format='%i|%T' --states=all --noheader; exit 1")
        self.environment = {
            **os.environ,
            "SLURM_CONF": str(config),
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
            "OMP_WAIT_POLICY": "passive",
            "CUDA_VISIBLE_DEVICES": "",
        }

    def _write_program(self, name: str, script: str) -> None:
        file = self.folder / "bin" / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def start(self) -> None:
        """Write the configuration and start the daemons; return when both nodes take jobs."""
        self._configure()
        self._start("munged", "--foreground", "--force", *self._munge_files())
        wait_until(lambda: (self.folder / "munge.socket").exists(), START_SECONDS, "munge listens")
        self._start("slurmctld", "-D", "-c")
        wait_until(self._controls, START_SECONDS, "slurmctld answers")
        for node in NODES:
            self._start("slurmd", "-D", "-N", node, name=node)
        wait_until(lambda: self._idle() == set(NODES), START_SECONDS, "both nodes are idle")

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
                [program, *arguments],
                stdout=log,
                stderr=log,
                env=self.environment,
                start_new_session=True,  # a Ctrl-C ends the tests, which then end the jobs
            )

    def _controls(self) -> bool:
        """Return whether the controller answers."""
        ping = ["scontrol", "ping"]
        return subprocess.run(ping, capture_output=True, check=False, env=self.environment).returncode == 0

    def _idle(self) -> set[str]:
        """Return the nodes that wait for jobs."""
        lines = self.ask("sinfo", "-h", "-N", "-p", "main", "-o", "%N %t").split("\n")
        return {line.split()[0] for line in lines if line.endswith(" idle")}

    def ask(self, *command: str) -> str:
        """Run one of SLURM's own commands; return what it printed."""
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=self.environment)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout.strip()

    def jobs(self, *states: str) -> list[str]:
        """Return the numbers of the jobs in these states, or of all that wait, run or end."""
        options = ["--states", ",".join(states)] if states else []
        return self.ask("squeue", "-h", "-o", "%A", *options).split()

    def job(self, number: str) -> dict[str, str]:
        """Return what SLURM knows of a job, such as TimeLimit."""
        words = self.ask("scontrol", "show", "job", number).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def hasten(self) -> None:
        """Let requeued jobs start at once, which would wait until their credentials have expired, two minutes."""
        for line in self.ask("squeue", "-h", "--states=PENDING", "-o", "%A %r").splitlines():
            number, reason = line.split(" ", 1)
            if reason == "BeginTime":
                self.ask("scontrol", "update", f"jobid={number}", "StartTime=now")

    def cut_off(self, node: str) -> None:
        """Switch a node off, as a loss of power does: its daemon, its jobs and who watches over them end at once.

        That it is lost the controller would notice by itself, but late.
        """
        self._daemons[node].kill()
        self._daemons[node].wait()
        self._kill_jobs(node)
        self.ask("scontrol", "update", f"nodename={node}", "state=down", "reason=lost")

    def _kill_jobs(self, node: str) -> None:
        for pid in self._processes_of(node):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def start_node(self, node: str) -> None:
        """Switch a node on again that was cut off; return when it takes jobs."""
        self._start("slurmd", "-D", "-N", node, name=node)
        resume = ["scontrol", "update", f"nodename={node}", "state=resume"]  # refused once the node has reported itself
        subprocess.run(resume, capture_output=True, check=False, env=self.environment)
        state = ["sinfo", "-h", "-n", node, "-p", "main", "-o", "%t"]
        wait_until(lambda: "down" not in self.ask(*state), START_SECONDS, f"{node} is back")

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

    def clear(self) -> None:
        """Cancel all jobs and wait until they have ended."""
        self.ask("scancel", "--user", "root")
        wait_until(lambda: not self.jobs(), STOP_SECONDS, "no job is left")

    def stop(self) -> None:
        """Cancel what is left of the jobs and stop the daemons."""
        try:
            self.clear()
        finally:
            for daemon in self._daemons.values():
                daemon.terminate()
            for daemon in self._daemons.values():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    daemon.wait(STOP_SECONDS)
                daemon.kill()
                daemon.wait()
            for node in NODES:
                self._kill_jobs(node)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_until(is_so: Callable[[], object], seconds: float, what: str, tell: Callable[[], str] = str) -> None:
    """Wait until something is so; fail after some seconds, with what is told then."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}: {tell()}"
        time.sleep(1)  # seldom, as what is asked takes processes of SLURM


def skip_without_slurm() -> None:
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed: .ci/slurm.sh does that")
    if os.geteuid():
        pytest.skip("only root can start a cluster on one machine")
