"""Measure on a GPU: speed, its tests, agreement with the CPU, accuracy, fine-tuning. One JSON holds all that was found.

    python -m tests.benchmarks.gpu --cifar10 FOLDER --work WORK --record gpu.json --minutes 9
    python -m tests.benchmarks.gpu … accuracy --pretrain resnet18_500

It ends by itself before `--minutes` have passed, with exit status 75 when something is left; the same command then goes
on from there: what is done by the same commit is not repeated, and a training goes on from where it was saved. The
record is written anew whenever there is more to tell, so whatever kills the benchmark, what it had found is on disk.
Neither Snakemake nor umap-learn is needed. GPU.md beside this file is the plan for a rare GPU.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from simclr_steps.machine.errors import Stopped, UserError
from simclr_steps.machine.logs import start_logging
from simclr_steps.machine.options import Hardware
from simclr_steps.machine.provenance import Record
from tests.benchmarks import accuracy, agreement, marked_tests, speed
from tests.benchmarks.recipe import RECIPE
from tests.benchmarks.record import Part, write_record
from tests.benchmarks.session import Session

Figures = dict[str, Any]


def run_tests(session: Session) -> Iterator[Figures]:
    """Run the tests marked `gpu`, of the modules that have any."""
    limit = min(session.options.test_limit, session.seconds_left())
    yield from marked_tests.run_tests(marked_tests.modules(), session.options.work / "tests.log", limit)


# The most valuable first. Each yields all that it has found, as often as there is more of it.
PARTS: dict[str, Callable[[Session], Iterator[Figures]]] = {
    "epochs": speed.measure_epochs,
    "step": speed.measure_step,
    "profile": speed.profile_plain,
    "tests": run_tests,
    "compiled": speed.measure_compiled,
    "agreement": agreement.compare_with_cpu,
    "accuracy": accuracy.measure_accuracy,
    "others": speed.measure_others,
    "profile_compiled": speed.profile_compiled,
    "processes": agreement.compare_processes,
    "finetune": accuracy.measure_finetuning,
}
# What parts that do not go on where they were stopped should take: none is begun with less time left.
_SECONDS = {
    "epochs": 30,
    "step": 20,
    "profile": 30,
    "tests": 90,
    "compiled": 90,
    "agreement": 30,
    "others": 40,
    "profile_compiled": 40,
    "processes": 40,
}


def run_parts(session: Session, names: Sequence[str]) -> int:
    """Run the parts that are not done; return the exit status: 0, 75 when time ran out, 1 when a part failed."""
    facts = Record("pretrain", None, None)
    statuses = []
    for name in names:
        part = Part(session, name, facts)
        if part.is_done():
            print(f"{part.name} is done already; remove {part.file} to run it again", flush=True)
        elif session.seconds_left() <= _SECONDS.get(name, 0):
            print(f"no time is left for {part.name}", flush=True)
            statuses.append(os.EX_TEMPFAIL)
        else:
            statuses.append(_run(part, PARTS[name](session)))
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
    except Stopped as stopped:
        status, end = os.EX_TEMPFAIL, {"stopped": str(stopped)}
    except Exception as error:  # the other parts are still worth their time
        status, end = 1, {"failed": str(error) or repr(error)}
        if not isinstance(error, UserError):
            traceback.print_exc()
    part.write({**found, **end}, done=status == 0)
    print(f"{part.name}: {_headline({**found, **end})}", flush=True)
    return status


def _headline(figures: Figures) -> str:
    """Return the figures that fit in a line."""
    return ", ".join(f"{key} {value}" for key, value in figures.items() if not isinstance(value, list) and key != "run")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts that are asked for."""
    started = time.monotonic()
    options = parse(arguments)
    start_logging("gpu", None)
    session = Session(options, Hardware(gpus=options.gpus, compile=options.compile), started + 60 * options.minutes)
    return run_parts(session, options.parts or list(PARTS))


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
    parser.add_argument("--compile", default="auto", help="of `accuracy` and `finetune`, as in pretrain (auto)")
    parser.add_argument("--gpus", type=int, help="0 keeps to the CPU")
    parser.add_argument("--commit", help="what the code is, for the record")
    options = parser.parse_args(arguments)
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]}; known are: {', '.join(PARTS)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
