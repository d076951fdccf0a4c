"""From the words of a command line to the call of a step's function. Torch is loaded by the step that runs."""

from __future__ import annotations

import argparse
import gc
import hashlib
import importlib
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from simclr_steps.cli.options import GROUPS, REST, Step
from simclr_steps.cli.table import STEPS
from simclr_steps.files import canonical_json
from simclr_steps.machine.logs import log
from simclr_steps.machine.places import claimed
from simclr_steps.machine.processes import leads
from simclr_steps.machine.versions import version_line
from simclr_steps.settings.base import did_you_mean
from simclr_steps.settings.reading import read_settings


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return what a command line says: `step`, `log`, `quiet`, and each option of the step, named by its `to`.

    A mistake in it ends the program with status 2, as argparse does.
    """
    top = parser()
    name = next((word for word in words if not word.startswith("-")), None)
    if name is not None and name not in STEPS:
        top.error(f'there is no step "{name}"; {did_you_mean(name, STEPS)}')
    rest = [option.to for option in STEPS[name].options if option.flag == REST] if name else []
    arguments = _with_rest(top, list(words), rest[0]) if rest else top.parse_args(words)
    if arguments.log and (taken := _also_given(arguments)):
        top.error(f"--log: {arguments.log} is {taken}, and would be emptied: give another name")
    return arguments


def _also_given(arguments: argparse.Namespace) -> str | None:
    """Return what else the log's file is by the other options, if it would be lost: not an earlier log."""
    log_file = arguments.log.resolve()
    is_earlier_log = log_file.suffix == ".log" or not log_file.exists()
    for option in STEPS[arguments.step].options:
        value = getattr(arguments, option.to)
        for one in value if isinstance(value, list) else [value]:
            is_path = isinstance(one, Path) or (option.settings and one)
            if is_path and Path(one).resolve() == log_file:
                return f"{option.flag} as well"
            is_read = is_path and option.flag not in ("--out", "--work")
            if is_read and not is_earlier_log and log_file.is_relative_to(Path(one).resolve()):
                return f"a file in {option.flag}"
    return None


def _with_rest(top: argparse.ArgumentParser, words: list[str], rest: str) -> argparse.Namespace:
    """Return the same for a step that passes all words after -- on: argparse does not do so in every version of Python.

    `rest` is the name of what they are in the result.
    """
    end = words.index(REST) if REST in words else len(words)
    flags = [word for word in words[:end] if word.startswith("-")]
    others = [word for word in words[:end] if not word.startswith("-")]  # argparse would not join those around a flag
    arguments, unknown = top.parse_known_args([*others[:1], *flags, *others[1:]])
    if unknown:
        from simclr_steps.commands.run import corrected

        line = corrected(words, unknown[0])
        top.error(f"{arguments.step} has no option {unknown[0]}, and passes on what comes last, after --: {line}")
    setattr(arguments, rest, words[end + 1 :])
    return arguments


def parser() -> argparse.ArgumentParser:
    """Return the parser of `simclr` and of `python -m simclr_steps`, which are the same."""
    top = argparse.ArgumentParser(
        prog="simclr" if Path(sys.argv[0]).name == "simclr" else "python -m simclr_steps",
        description="The steps of simclr-workflow. Each reads and writes files; see STEP --help for which.",
    )
    top.add_argument("--version", action=_Version, nargs=0, help="show the versions of this program and of torch")
    commands = top.add_subparsers(dest="step", metavar="STEP", required=True)
    for step in STEPS.values():
        command = commands.add_parser(step.name, help=step.help, description=f"{step.help[0].upper()}{step.help[1:]}.")
        for option in step.options:
            is_flag = option.flag.startswith("-") and option.flag != REST
            names: dict[str, Any] = {"dest": option.to} if is_flag else {}
            command.add_argument(option.to if option.flag == REST else option.flag, **names, **option.keywords)
        if step.logs:
            command.add_argument("--log", type=Path, metavar="FILE", help="also write the step's output to this file")
            command.add_argument("--quiet", action="store_true", help="say only what warns or fails")
        else:
            command.set_defaults(log=None, quiet=False)
    return top


def run(step: Step, arguments: argparse.Namespace) -> None:
    """Call the step's function with what was parsed for it, and with its output locked.

    Settings are read and the place of the output is checked first, as neither needs torch.
    """
    given = keywords(step, arguments)
    for option in step.options:
        if option.check:
            option.check(given[option.to])
    with claimed(given["out"], _key(step, given)) if "out" in given and leads() else nullcontext():
        if step.logs:
            log.info("starting")  # what it imports takes seconds
        elif step.begins and sys.stderr.isatty():
            log.info("%s", step.begins)
        _function(step)(**given)


def _function(step: Step) -> Any:
    """Return the step's function.

    What the import creates lives as long as the process: searching it for garbage would take a tenth of the startup.
    """
    gc.disable()
    try:
        return getattr(importlib.import_module(f"simclr_steps.{step.wing}.{step.name}"), step.name)
    finally:
        gc.freeze()
        gc.enable()


def _key(step: Step, given: dict[str, Any]) -> str:
    """Return a key that steps share which don't replace one another's results: a hash of all but how a step runs."""
    without_effect = {*GROUPS, "work", "workers", "logger", *step.side_by_side}
    content = {name: str(value) for name, value in given.items() if name not in without_effect}
    return hashlib.sha256(canonical_json([step.name, content]).encode()).hexdigest()[:16]


def keywords(step: Step, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of a step's function; raise UserError where its settings are wrong."""
    given: dict[str, Any] = {}
    fields: dict[str, dict[str, Any]] = {}
    for option in step.options:
        value = getattr(arguments, option.to)
        group, _, field = option.to.rpartition(".")
        if group:
            fields.setdefault(group, {})[field] = value
        elif option.settings:
            given[option.to] = read_settings(option.settings, value, f"{step.name} settings")
        else:
            given[option.to] = value
    return given | {group: GROUPS[group](**values) for group, values in fields.items()}


class _Version(argparse.Action):
    """Prints the versions, looked up only when asked for, and exits."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(version_line())
        parser.exit()
