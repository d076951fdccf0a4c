"""Measure on a GPU: speed, its tests, agreement with the CPU, accuracy, fine-tuning. One JSON holds all that was found.

    python -m tests.benchmarks.gpu --cifar10 FOLDER --work WORK --record gpu.json --minutes 9
    python -m tests.benchmarks.gpu … accuracy --pretrain resnet18_500

It ends by itself before `--minutes` have passed, with exit status 75 when something is left; the same command then
continues: what the same commit has done with the same options is not repeated, and a training continues where it was
saved. A part that leaves out a contestant, or whose tests fail, is not done, and the exit status is 1. The record is
written anew whenever there is more to tell, so whatever kills the benchmark, what it had found is on disk.
Neither Snakemake nor umap-learn is needed. GPU.md beside this file is the plan for a rare GPU.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simclr_steps.machine.compilation import COMPILE
from simclr_steps.machine.errors import Stopped, UserError
from simclr_steps.machine.logs import log, start_logging
from simclr_steps.machine.options import Hardware
from simclr_steps.machine.provenance import Record
from tests.benchmarks import accuracy, agreement, marked_tests, speed
from tests.benchmarks.recipe import RECIPE
from tests.benchmarks.record import Part, write_record
from tests.benchmarks.session import OF_A_PRETRAINING, Session

Figures = dict[str, Any]


def run_tests(session: Session) -> Iterator[Figures]:
    """Run the tests marked `gpu`, of the modules that have any."""
    limit = min(session.options.test_limit, session.seconds_left())
    yield from marked_tests.run_tests(marked_tests.modules(), session.options.work / "tests.log", limit)


@dataclass(frozen=True)
class Kind:
    """A kind of part."""

    run: Callable[[Session], Iterator[Figures]]  # yields all that it has found, as often as there is more of it
    depends_on: tuple[str, ...] = ()  # options with which its figures change
    seconds: float = 0.0  # it is not begun with less time left; 0: it continues where it was stopped


# The most valuable first.
PARTS = {
    "epochs": Kind(speed.measure_epochs, ("rounds",), 30),
    "step": Kind(speed.measure_step, ("steps", "rounds"), 20),
    "profile": Kind(speed.profile_plain, ("steps",), 30),
    "tests": Kind(run_tests, (), 90),
    "compiled": Kind(speed.measure_compiled, ("steps", "rounds"), 90),
    "agreement": Kind(agreement.compare_with_cpu, (), 30),
    "accuracy": Kind(accuracy.measure_accuracy, OF_A_PRETRAINING),
    "others": Kind(speed.measure_others, ("steps", "rounds", "workers"), 40),
    "profile_compiled": Kind(speed.profile_compiled, ("steps",), 40),
    "processes": Kind(agreement.compare_processes, (), 40),
    "finetune": Kind(accuracy.measure_finetuning, (*OF_A_PRETRAINING, "seeds")),
}


def run_parts(session: Session, names: Sequence[str]) -> int:
    """Run the parts that are not done; return the exit status: 0, 75 when time ran out, 1 when a part failed."""
    facts = Record("pretrain", None, None)
    statuses = []
    for name in names:
        kind = PARTS[name]
        of_a_pretraining = set(OF_A_PRETRAINING) <= set(kind.depends_on)
        part = Part(session, f"{name}-{session.pretraining}" if of_a_pretraining else name, kind.depends_on, facts)
        if part.is_done():
            print(f"{part.name} is done already; remove {part.file} to run it again", flush=True)
        elif session.seconds_left() <= kind.seconds:
            print(f"no time is left for {part.name}", flush=True)
            statuses.append(os.EX_TEMPFAIL)
        else:
            statuses.append(_run(part, kind.run(session)))
        if os.EX_TEMPFAIL in statuses:
            break
    write_record(session, facts)
    return max(statuses, default=0)


def _run(part: Part, results: Iterator[Figures]) -> int:
    """Write what a part yields, as it comes, and at last how it ended; return its exit status."""
    found: Figures = {}
    status, end = 0, {}
    try:
        for figures in results:
            part.write(figures, done=False)
            found = figures
        _check(found)
    except Stopped as stopped:
        status, end = os.EX_TEMPFAIL, {"stopped": str(stopped)}
    except Exception as error:  # the other parts are still worth their time
        status, end = 1, {"failed": str(error) or repr(error)}
        if not isinstance(error, UserError):
            traceback.print_exc()
    part.write({**found, **end}, done=status == 0)
    print(f"{part.name}: {headline({**found, **end})}", flush=True)
    return status


def _check(figures: Figures) -> None:
    """Raise UserError when a part has come to its end and has not found what it is for."""
    if figures.get("left_out"):
        raise UserError(f"left out: {'; '.join(figures['left_out'])}")
    if not figures.get("agree", True):
        raise UserError("the losses do not agree")
    ended = figures.get("exit_status", 0)
    if ended != 0:
        raise UserError("pytest was killed" if ended is None else f"pytest ended with exit status {ended}")


def headline(figures: Figures) -> str:
    """Return figures in one line."""
    shown = {key: _short(value) for key, value in figures.items() if key not in ("run", "rounds")}
    return ", ".join(f"{key} {text}" for key, text in shown.items() if text)


def _short(value: Any) -> str:
    """Return a value in a few words: names if they are few, else their number; nothing for other lists."""
    if isinstance(value, dict):
        return f"({headline(value)})" if value else ""
    if isinstance(value, list):
        if not all(isinstance(item, str) for item in value):
            return ""
        return " and ".join(value) if 0 < len(value) <= 3 else str(len(value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts that are asked for."""
    started = time.monotonic()
    options = parse(arguments)
    start_logging("gpu", None)
    if options.commit is None:
        log.warning("without --commit, what other code has measured counts as done: add --commit $(git rev-parse HEAD)")
    session = Session(options, Hardware(gpus=options.gpus, compile=options.compile), started + 60 * options.minutes)
    try:
        session.check()
        return run_parts(session, options.parts or list(PARTS))
    except UserError as error:
        log.error("error: %s", error)
        return 1


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options; what is wrong with them ends the program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; left out: all, in this order")
    parser.add_argument("--cifar10", type=Path, help="folder that holds cifar-10-batches-py; without it: random images")
    parser.add_argument("--images", type=int, default=50_000, help="how many random images (50,000)")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps what the next run goes on from")
    parser.add_argument("--record", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--minutes", type=float, default=9.0, help="leave before so much time has passed (9)")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds after which a contestant is killed (60)")
    parser.add_argument("--test-limit", type=float, default=150.0, help="seconds after which pytest is killed (150)")
    parser.add_argument("--cpu-losses", type=Path, help="what tests.benchmarks.agreement wrote on another machine")
    parser.add_argument("--recipe", type=Path, default=RECIPE)
    parser.add_argument("--pretrain", default="resnet18_100", help="block of the recipe (resnet18_100)")
    parser.add_argument("--fit-epochs", action="store_true", help="train for as many epochs as time is left for")
    parser.add_argument("--seed", type=int, default=0, help="seed of the pretraining (0)")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of the fine-tunings (3)")
    parser.add_argument("--steps", type=int, default=100, help="timed steps of each turn (100)")
    parser.add_argument("--rounds", type=int, default=1, help="turns of each contestant (1)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes of CPU augmentation (all cores)")
    parser.add_argument(
        "--compile", choices=COMPILE, default="auto", help="of `accuracy` and `finetune`, as in pretrain (auto)"
    )
    parser.add_argument("--gpus", type=int, help="0 keeps to the CPU")
    parser.add_argument("--commit", help="commit of the code; what another one measured is measured anew")
    options = parser.parse_args(arguments)
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]}; known are: {', '.join(PARTS)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
