"""Start the workflow on a config: `simclr run` becomes the Snakemake command that a user would otherwise write."""

from __future__ import annotations

import os
import re
import shlex
import sys
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.settings.base import did_you_mean
from simclr_steps.settings.reading import read_yaml

CLONE = Path(__file__).resolve().parents[2]
TARGETS = (
    "all",
    "download_all",
    "evaluate_all",
    "explore_all",
    "finetune_all",
    "predict_all",
    "prepare_all",
    "pretrain_all",
    "select_all",
    "summary",
    "umap_all",
)
_CONFIG_FILES = ("--configfile", "--configfiles")
_TAKE_RULES = ("-R", "--forcerun", "-U", "--until", "-O", "--omit-from")
# With these, Snakemake needs no lock on this folder, or looks for it in another.
_DRY = re.compile(r"--dry-?run|-[aDfFklptS]*n.*")  # its flags without a value may stand before an n
_TELLS_HOW_MUCH = {"--quiet", "-q", "--profile", "--printshellcmds", "-p", "--verbose", "--show-failed-logs"}
_NO_LOCK_HERE = {
    *("--nolock", "--unlock", "--directory", "-d", "--help", "-h", "--version", "-v", "--report", "--lint"),
    *("--list-rules", "--list", "-l", "--list-target-rules", "--lt", "--dag", "--rulegraph", "--filegraph"),
    *("--summary", "-S", "--detailed-summary", "-D"),
}


def run(config: Path, targets: list[str], *, slurm: bool, options: list[str]) -> NoReturn:
    """Become Snakemake, whose signals and exit status are then those of this process, on a config in this folder.

    Parameters
    ----------
    targets
        Stages or files to make; all if there are none.
    slurm
        Take the profile of SLURM instead of the workstation's, unless the options name one.
    options
        Further words for Snakemake.

    Raises
    ------
    UserError
        When the workflow is not beside this package, or Snakemake not installed; when the config cannot be read, a
        target does not exist, or another run holds the lock.
    """
    words = command(config, targets, slurm=slurm, options=options)
    log.info("Snakemake reads %s and plans, which takes some seconds", config)
    sys.stdout.flush()
    os.execv(words[0], words)  # noqa: S606 - no shell


def command(config: Path, targets: list[str], *, slurm: bool, options: list[str]) -> list[str]:
    """Return the words that start Snakemake, see `run`."""
    workflow = CLONE / "workflow"
    if not (workflow / "Snakefile").is_file():
        raise UserError(
            f"this simclr was installed without the workflow, of which {CLONE} has no copy: use .venv/bin/simclr of a "
            "clone in which make install ran, or call snakemake itself where there is a workflow/Snakefile"
        )
    if not find_spec("snakemake"):
        raise UserError(f"Snakemake is not installed beside {sys.executable}: run make install in {CLONE}")
    for file in (config, *_further_configs(options)):
        _check_config(file)
    for target in (*targets, *_after_dashes(options)):
        if "/" not in target and target not in TARGETS:
            raise UserError(f'there is no target "{target}"; {did_you_mean(target, TARGETS)}')
    _check_lock(config, options)
    profile = [] if _named(options) & {"--profile"} else ["--profile", f"{workflow}/profiles/{_profile(slurm)}"]
    return [
        *(sys.executable, "-P", "-m", "snakemake", "--snakefile", f"{workflow}/Snakefile"),  # -P: no module from here
        *profile,
        *(["--quiet", "host", "rules"] if _says_enough(options, slurm=slurm) else []),
        f"--configfile={config}",  # with =, as it would take the words that follow, too
        *options,
        *(["--"] if targets and "--" not in options else []),  # some options would take the targets
        *targets,
    ]


def _profile(slurm: bool) -> str:
    return "slurm" if slurm else "workstation"


def corrected(words: list[str], option: str) -> str:
    """Return a command line in which an option of Snakemake, and all that follows but targets, comes last, after --."""
    at = words.index(option)
    before, after = words[:at], [word for word in words[at:] if word != "--"]
    own = [
        word
        for last, word in pairwise(["", *after])
        if word == "--slurm" or (word in TARGETS and last not in _TAKE_RULES)
    ]
    if all(word.startswith("-") for word in before[1:]):  # no config yet
        own = [word for word in after if word.endswith((".yaml", ".yml"))][:1] + own
        after = after[after[0] in _CONFIG_FILES :]
    return shlex.join(["simclr", *before, *own, "--", *(word for word in after if word not in own)])


def _further_configs(options: list[str]) -> list[Path]:
    """Return the files that an option of Snakemake names beside the config."""
    found, takes = [], False
    for word in options:
        if word.startswith("-"):
            name, _, value = word.partition("=")
            takes = name in _CONFIG_FILES
            found += [value] if takes and value else []
        elif takes:
            found.append(word)
    return [Path(name) for name in found]


def _after_dashes(options: list[str]) -> list[str]:
    """Return the targets among the words for Snakemake: those after a second --."""
    return options[options.index("--") + 1 :] if "--" in options else []


def _named(options: list[str]) -> set[str]:
    """Return the names of options, without values that = gives them."""
    return {word.partition("=")[0] for word in options}


def _says_enough(options: list[str], *, slurm: bool) -> bool:
    """Return whether the steps' own lines tell what happens: not in a dry run, nor of jobs that a cluster ended."""
    return not (slurm or _is_dry(options) or _named(options) & _TELLS_HOW_MUCH)


def _is_dry(options: list[str]) -> bool:
    return any(map(_DRY.fullmatch, options))


def _check_config(config: Path) -> None:
    """Raise UserError where a config cannot be read: Snakemake would show a traceback, and no line."""
    if not config.exists():
        first = f"the config comes first, as in simclr run my.yaml {config}" if str(config) in TARGETS else ""
        raise UserError(f"there is no config {config}: {first or 'name yours, as in simclr run my.yaml'}")
    if config.is_dir():
        raise UserError(
            f"{config} is a folder: write a config for its images first, simclr init {shlex.quote(str(config))} "
            "--out my.yaml, then simclr run my.yaml"
        )
    if not config.is_file():  # a pipe, which Snakemake could not read a second time
        raise UserError(f"{config} is not a regular file: save the config as one, as in simclr run my.yaml")
    if not isinstance(read_yaml(config), dict):
        raise UserError(f"{config} holds no block, such as datasets: name a config, as in simclr run my.yaml")


def _check_lock(config: Path, options: list[str]) -> None:
    """Raise UserError where a run in this folder goes on, or was killed: Snakemake leaves the same lock in both."""
    needs_none = _named(options) & _NO_LOCK_HERE or _is_dry(options)
    if any(Path(".snakemake/locks").glob("*.lock")) and not needs_none:
        raise UserError(
            f"a run in {Path.cwd()} goes on or was killed: wait until it ends (a dry run, -- -n, works meanwhile) or, "
            f"if it was killed, remove its lock with simclr run {config} -- --unlock"
        )
