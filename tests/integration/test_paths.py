"""The cut demo below a prefix and in a storage, killed in its pretraining and resumed: no rule names a path itself."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from simclr_steps.machine.planned import read_plan
from simclr_steps.machine.watch import overview
from tests.integration.conftest import REPOSITORY
from tests.layout import assert_results
from tests.snakemake_runs import run_snakemake

pytestmark = [pytest.mark.slow(60), pytest.mark.timeout(1800)]
SNAKEFILE = REPOSITORY / "workflow/Snakefile"
RUN = "digits/simclr/seed0"
needs_storage = pytest.mark.skipif(
    find_spec("snakemake_storage_plugin_fs") is None or shutil.which("rsync") is None,
    reason="needs the program rsync and snakemake-storage-plugin-fs",
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with the demo's config, cut, and an encoder that takes its time while the file slow0 exists."""
    config = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())
    config["datasets"]["digits"]["subset"] = 200
    config["pretrains"]["simclr"] |= {"encoder": "slow_encoder:slow_encoder", "epochs": 3, "global_batch_size": 32}
    for name in ("pretrained", "scratch"):
        config["finetunes"][name] |= {"draws": 1, "epochs": 1}
    config["evaluation"] = {"labels": [1.0], "draws": 1, "augmentation": None}
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    shutil.copy(Path(__file__).with_name("slow_encoder.py"), tmp_path)
    return tmp_path


def below_prefix(folder: Path) -> list[str]:
    """Make `folder` a workflow that uses this one as a module; return the command that runs it."""
    (folder / "Snakefile").write_text(
        'configfile: "config/config.yaml"\n'
        f'module simclr:\n    snakefile: "{SNAKEFILE}"\n    config: config\n    prefix: "ssl"\n'
        "use rule * from simclr as simclr_*\n"
    )
    return snakemake("--set-resources", "simclr_pretrain:save_minutes=0", "--", "simclr_all")


def in_storage() -> list[str]:
    """Return the command that runs this workflow with all its files in a folder as storage."""
    storage = ["--default-storage-provider", "fs", "--default-storage-prefix", "stored"]
    return snakemake("--snakefile", str(SNAKEFILE), *storage, "--set-resources", "pretrain:save_minutes=0", "--", "all")


def snakemake(*arguments: str) -> list[str]:
    options = ["--cores", "2", "--rerun-incomplete", "--rerun-triggers", "mtime", "params", "input"]
    return [sys.executable, "-m", "snakemake", "--nocolor", "--nolock", *options, *arguments]


def environment() -> dict[str, str]:
    return {**os.environ, "CUDA_VISIBLE_DEVICES": ""}


def stage(command: list[str], name: str) -> list[str]:
    """Return the command that runs a stage only, instead of everything."""
    *options, everything = command
    return [*options, everything.replace("all", f"{name}_all")]


def run_warm(folder: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run the command in a process that has Snakemake imported, with warm steps."""
    return run_snakemake(command[command.index("snakemake") + 1 :], folder, {"CUDA_VISIBLE_DEVICES": ""}, warm=True)


def kill_in_pretraining(folder: Path, command: list[str], work: Path) -> None:
    """Run until the pretraining has saved something below `work`, and kill Snakemake and all its steps."""
    prepared = run_warm(folder, stage(command, "prepare"))  # by warm steps, as only those that are killed must be real
    assert prepared.returncode == 0, prepared.stdout + prepared.stderr
    (folder / "slow0").touch()
    with (folder / "killed.txt").open("w") as said:
        running = subprocess.Popen(
            stage(command, "pretrain"),
            cwd=folder,
            env=environment(),
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            until = time.monotonic() + 600
            while not list(work.rglob("training.ckpt*")):
                assert running.poll() is None and time.monotonic() < until, (folder / "killed.txt").read_text()
                time.sleep(0.2)
        finally:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
    (folder / "slow0").unlink()


def finish(folder: Path, command: list[str], made: Path) -> None:
    """Run to the end; assert that the pretraining resumed, all results lie below `made`, and nothing reruns."""
    done = run_warm(folder, command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "resuming from " in (made / "logs" / RUN / "pretrain.log").read_text()
    scratch = "compare/random-slow_encoder=slow_encoder-seed0"
    assert_results(made / "results" / RUN, ["pretrained"], shared=["scratch"], start=scratch)
    assert (made / "results/summary/mistakes.png").exists()
    page = (made / "results/summary.html").read_text()
    assert f'href="{RUN}/umap/map.html"' in page and page.count("data:image/png") >= 4
    planned = run_warm(folder, [*command[: command.index("--")], "--dry-run", *command[command.index("--") :]])
    assert "Nothing to be done" in planned.stdout + planned.stderr


def unexpected(folder: Path, *expected: str) -> set[str]:
    """Return what lies in the folder, besides what the test wrote and what is expected."""
    own = {"config", "slow_encoder.py", "__pycache__", "killed.txt", "Snakefile", ".snakemake", *expected}
    return {path.name for path in folder.iterdir() if not path.name.startswith("steps")} - own


def test_module_with_a_prefix_keeps_everything_below_it(project: Path) -> None:
    command = below_prefix(project)
    kill_in_pretraining(project, command, project / "ssl/work" / RUN / "pretrain")
    finish(project, command, project / "ssl")
    head, _, *rows, _, nothing = overview(project / "ssl", read_plan(project / "ssl"))
    assert re.fullmatch(r"(\d+) of \1 steps done", head) and nothing == "nothing is running"
    assert {word for row in rows for word in row.split()} >= {"data", "pretrain", "summary", "done", RUN}
    assert unexpected(project, "ssl") == set()


@needs_storage
def test_storage_gets_everything_but_what_an_interrupted_step_needs(project: Path) -> None:
    command = in_storage()
    kill_in_pretraining(project, command, project / "work" / RUN / "pretrain")
    finish(project, command, project / "stored")
    assert unexpected(project, "stored", "resources", "work") == set()
    local = [file.relative_to(project) for name in ("resources", "work") for file in (project / name).rglob("*.*")]
    kept = [file for file in local if file.parts[0] == "work" and "published" in {*file.parts, file.stem}]
    assert kept and set(local) - set(kept) == {Path("resources/digits/originals/digits.csv.gz"), Path("work/plan.json")}
    assert {path.name for path in (project / "stored").iterdir()} == {"benchmarks", "logs", "resources", "results"}
