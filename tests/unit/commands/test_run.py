"""`simclr run` becomes the right Snakemake command, or says in one sentence why not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from simclr_steps.commands.run import CLONE, TARGETS, command, corrected
from simclr_steps.machine.errors import UserError
from tests.snakemake_runs import run_snakemake

CONFIG = """
datasets: {digits: {source: digits}}
pretrains: {simclr: {epochs: 1}}
experiments: [{dataset: digits, pretrain: simclr}]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder where the user stands, with a config whose name Snakemake knows no better than others."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.yaml").write_text(CONFIG)
    return tmp_path


def words(*options: str, targets: tuple[str, ...] = (), config: str = "my.yaml", slurm: bool = False) -> list[str]:
    return command(Path(config), list(targets), slurm=slurm, options=list(options))


def snakemake(folder: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    assert command[1:4] == ["-P", "-m", "snakemake"]
    return run_snakemake(command[4:], folder, {"CUDA_VISIBLE_DEVICES": ""})


def test_targets_and_options_reach_snakemake_in_a_dry_run_beside_a_run(folder: Path) -> None:
    lock = folder / ".snakemake/locks/0.output.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("resources/digits/images.json\n")
    done = snakemake(folder, words("-np", "--set-threads", "umap=1", "-R", "umap", targets=("umap_all",)))
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "rule umap_all" in said and "rule summary" not in said
    assert f"{CLONE}/workflow/profiles/workstation" in said and f"{CLONE}/workflow/profiles/default" in said


def test_targets_are_those_of_the_workflow(folder: Path) -> None:
    done = snakemake(folder, words("--list-target-rules"))
    assert done.returncode == 0, done.stderr
    assert tuple(done.stdout.split()) == TARGETS


def test_profile_is_that_of_the_workstation_or_of_slurm_or_of_the_user() -> None:
    config = str(CLONE / "config/config.yaml")

    def profiles(command: list[str]) -> list[str]:
        return [value for name, value in pairwise(command) if name == "--profile"]

    assert profiles(words(config=config, slurm=True)) == [f"{CLONE}/workflow/profiles/slurm"]
    assert profiles(words("--profile", "mine", config=config)) == ["mine"]


@pytest.mark.parametrize(
    ("options", "slurm", "quiet"),
    [
        (("--resources", "gpu=4"), False, True),
        (("-n",), False, False),
        (("--quiet", "all"), False, False),
        (("-p",), False, False),
        (("--profile=mine",), False, False),
        ((), True, False),
    ],
)
def test_snakemake_is_quiet_where_the_steps_tell_enough(options: tuple[str, ...], slurm: bool, quiet: bool) -> None:
    given = command(CLONE / "config/config.yaml", [], slurm=slurm, options=list(options))
    assert (("--quiet", "host") in pairwise(given)) == quiet


def test_what_follows_two_dashes_of_the_user_are_targets(folder: Path) -> None:
    assert words("-n", "--", "umap_all", targets=("summary",))[-4:] == ["-n", "--", "umap_all", "summary"]


@pytest.mark.parametrize(
    ("line", "option", "line_that_works"),
    [
        ("run my.yaml --config a=1 umap_all", "--config", "simclr run my.yaml umap_all -- --config a=1"),
        ("run --cores 4 photos.yaml -n", "--cores", "simclr run photos.yaml -- --cores 4 -n"),
        ("run my.yaml summary -n --slurm -- -p", "-n", "simclr run my.yaml summary --slurm -- -n -p"),
        ("run --cores=4", "--cores=4", "simclr run -- --cores=4"),
        ("run --configfile my.yaml -n", "--configfile", "simclr run my.yaml -- -n"),
        ("run my.yaml -R umap_all", "-R", "simclr run my.yaml -- -R umap_all"),
    ],
)
def test_options_of_snakemake_that_are_in_the_wrong_place_get_the_line_that_works(
    line: str, option: str, line_that_works: str
) -> None:
    assert corrected(line.split(), option) == line_that_works


def test_what_is_named_after_two_dashes_is_looked_at_before_snakemake_starts(folder: Path) -> None:
    with pytest.raises(UserError, match='there is no target "umap_al"; did you mean "umap_all"'):
        words("-n", "--", "umap_al")
    (folder / "broken.yaml").write_text("umap: [")
    for options in (["--configfile", "my.yaml", "broken.yaml"], ["--configfiles=broken.yaml"]):
        with pytest.raises(UserError, match="broken.yaml is not valid YAML"):
            words("-n", *options)
    with pytest.raises(UserError, match="there is no config none.yaml"):
        words("--configfile", "none.yaml", "--cores", "2")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("none.yaml", None, "there is no config none.yaml: name yours, as in simclr run my.yaml"),
        ("umap_all", None, "there is no config umap_all: the config comes first, as in simclr run my.yaml umap_all"),
        (".", None, ". is a folder: write a config for its images first, simclr init . --out my.yaml, then simclr run"),
        ("bad.yaml", b"datasets:\n  a: {source: digits}\n\tb: {}\n", "bad.yaml is not valid YAML, line 3 (found"),
        ("twice.yaml", b"umap: {}\numap: {}\n", 'twice.yaml is not valid YAML, lines 1 to 2 (the key "umap" appears'),
        ("image.yaml", bytes(range(256)), "image.yaml is not valid YAML"),
        ("empty.yaml", b"", "empty.yaml holds no block, such as datasets"),
        ("list.yaml", b"- 1\n", "list.yaml holds no block, such as datasets"),
    ],
)
def test_config_that_cannot_be_read_is_named(name: str, content: bytes | None, sentence: str, folder: Path) -> None:
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(UserError) as error:
        words(config=name)
    assert sentence in str(error.value)


def test_config_that_is_a_pipe_is_refused_without_a_wait(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(UserError, match="pipe is not a regular file: save the config as one"):
        words(config="pipe")


def test_config_that_the_system_does_not_let_read_is_named(folder: Path) -> None:
    (folder / "my.yaml").unlink()
    (folder / "my.yaml").symlink_to("/proc/self/mem")  # which even root cannot read from its start
    with pytest.raises(UserError, match="cannot read the settings file my.yaml: Input/output error"):
        words()


@pytest.mark.parametrize(
    ("target", "offer"),
    [("umap", 'did you mean "umap_all"?'), ("sumary", 'did you mean "summary"?'), ("x.yaml", "available: all, ")],
)
def test_unknown_target_gets_an_offer(target: str, offer: str, folder: Path) -> None:
    with pytest.raises(UserError) as error:
        words(targets=(target,))
    assert str(error.value).startswith(f'there is no target "{target}"; {offer}')
    assert words(targets=("results/digits/umap.png",))[-1] == "results/digits/umap.png"


@pytest.mark.parametrize("option", ["--unlock", "--report=r.html", "-np", "--nolock", "--dry-run"])
def test_lock_of_another_run_is_one_sentence(option: str, folder: Path) -> None:
    (folder / ".snakemake/locks").mkdir(parents=True)
    words()
    (folder / ".snakemake/locks/0.output.lock").write_text("results/summary.csv\n")
    for others in ((), ("-R", "finetune"), ("-Rfinetune",)):
        with pytest.raises(UserError, match="a run in .* goes on or was killed: .* simclr run my.yaml -- --unlock"):
            words(*others)
    words(option)


def test_without_snakemake_it_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "snakemake", raising=False)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(UserError, match="Snakemake is not installed beside .*: run make install in "):
        words()


def run(folder: Path, *arguments: str, package: Path = CLONE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "simclr_steps", "run", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(package)},
    )


def test_package_without_the_workflow_says_what_to_do(folder: Path) -> None:
    shutil.copytree(CLONE / "simclr_steps", folder / "simclr_steps", ignore=shutil.ignore_patterns("__pycache__"))
    done = run(folder, "my.yaml", package=folder)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert f"this simclr was installed without the workflow, of which {folder} has no copy: use" in done.stderr


def test_it_becomes_snakemake_whose_results_are_where_the_user_stands(folder: Path) -> None:
    (folder / "yaml.py").write_text("raise ImportError\n")  # which Snakemake must not import
    done = run(folder, "my.yaml", "download_all", "--", "--cores", "1")
    assert done.returncode == 0, done.stderr
    assert (folder / "resources/digits/originals.json").exists()
