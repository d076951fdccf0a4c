"""Measure speed and memory: print a table, and keep it with versions and machine in records/.

    make bench                                           # all of it, about two hours on 2 slow cores
    python -m tests.benchmarks.bench startup --rounds 3  # one part

What is compared runs in turns, each in a process of its own, so that a machine's moods meet all alike.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shlex
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from simclr_steps.files import write_json
from simclr_steps.machine.options import Hardware, Saving
from simclr_steps.machine.processes import STARTER, as_starter, die_with_parent
from simclr_steps.machine.provenance import Record
from tests.benchmarks import commands, data, large_sets, photographs, sweeps, throughput
from tests.benchmarks.turns import Call, in_own_process, in_turns

RECORDS = Path(__file__).parent / "records"
STREAMED_IMAGES, RESIDENT_IMAGES = 1_000_000, 20_480
# Of the training with a hold-out: enough images that the fewest that are judged are a small part, and as many epochs as
# lie between two looks at the features.
HELD_OUT_STEPS, HELD_OUT_EPOCHS = 20, 10


@dataclass(frozen=True)
class Figure:
    """One row of the table."""

    name: str
    value: float
    unit: str
    target: str
    rounds: Sequence[float]  # of which the value is the median, or the most

    def __str__(self) -> str:
        spread = f"{min(self.rounds):.2f} to {max(self.rounds):.2f}"
        return f"| {self.name} | {self.value:.2f} {self.unit} | {self.target} | {spread} |"


def bench_share(folder: Path, options: argparse.Namespace) -> list[Figure]:
    """Measure the share of the bare model step, without and with a hold-out, and the speed beside lightly's.

    lightly computes in fp32, as we do on a CPU.
    """
    images = options.steps * options.batch
    packed, _ = data.cifar10(folder / "cifar10", images)
    with_hold_out, _ = data.cifar10(folder / "held_out", HELD_OUT_STEPS * options.batch, hold_out=True)
    hardware, saving = Hardware(gpus=0), Saving(every_minutes=0.25)  # so that each round has a save in it
    chosen = throughput.settings(options.batch, epochs=2)
    longer = chosen.model_copy(update={"epochs": HELD_OUT_EPOCHS})
    contestants: dict[str, Call] = {
        "end to end": (throughput.end_to_end, packed, chosen, hardware, saving),
        "bare step": (throughput.bare_step, packed, chosen, hardware, options.steps),
        "two views alone": (throughput.views, packed, chosen, hardware, 10 * options.steps),
    }
    if importlib.util.find_spec("lightly"):
        contestants["lightly"] = (throughput.lightlys, packed, chosen, hardware, options.steps, os.cpu_count(), "fp32")
    rates = rates_in_turns(contestants, options.rounds)
    figures = [median(f"{name}, ResNet-18, 32 px, batch {options.batch}", rates[name], "images/s") for name in rates]
    ours, bare = rates["end to end"], rates["bare step"]
    shares = ratios(ours, bare)
    figures.append(median("share of the bare model step", shares, "", "≥ 0.95"))
    training = in_own_process(throughput.share_of_training, with_hold_out, longer, hardware, saving)
    held_out = [training * share for share in shares]
    figures.append(median("share with as many images held out as are trained on", held_out, "", "≥ 0.9"))
    figures.append(median("views' time beside the bare step's", ratios(bare, rates["two views alone"]), "", "≤ 0.1"))
    if "lightly" in rates:
        figures.append(median("speed beside lightly", ratios(ours, rates["lightly"]), "×", "≥ 1.5"))
    return figures


def bench_startup(folder: Path, options: argparse.Namespace) -> list[Figure]:
    """Measure the time from a command's start to its first training step."""
    digits = data.digits(folder / "digits")
    chosen = throughput.settings(batch=16, epochs=100)  # a step that costs next to nothing
    commands.seconds_to_first_step(digits, chosen)  # which leaves the files in the page cache
    seconds = [commands.seconds_to_first_step(digits, chosen) for _ in range(options.rounds)]
    return [median("start to the end of the first step, digits", seconds, "s", "≤ 8")]


def bench_streaming(folder: Path, options: argparse.Namespace) -> list[Figure]:
    """Measure a training on 3 GB of images beside the same training on few; a small encoder makes reading show."""
    streamed = data.random_images(folder / "streamed", STREAMED_IMAGES)
    resident = data.random_images(folder / "resident", RESIDENT_IMAGES)
    chosen = throughput.settings(256, 100, "tests.own_encoders:without_batch_norm")
    pairs = [
        [commands.train_for(options.minutes, packed, chosen) for packed in (streamed, resident)]
        for _ in range(options.rounds)
    ]
    speed = ratios(*([run.images_per_second for run in runs] for runs in zip(*pairs, strict=True)))
    extra = [(large.private_bytes - small.private_bytes) / 1e9 for large, small in pairs]
    return [
        median("speed on 1,000,000 streamed images beside 20,480", speed, "×", "≥ 0.9"),
        Figure("private memory above the training on 20,480", max(extra), "GB", "≤ 1", extra),
    ]


def bench_umap(folder: Path, options: argparse.Namespace) -> list[Figure]:
    """Measure UMAP in fresh processes: the layout of one layer, and the whole step, which draws two."""
    packed = data.random_images(folder / "drawn", options.points)
    features = data.features(folder / "features", packed, options.points)
    rounds = [
        (commands.seconds_of_layout(features), commands.seconds_of_umap(features, packed))
        for _ in range(options.rounds)
    ]
    one, whole = zip(*rounds, strict=True)
    what = f"UMAP of {options.points:,} points × 512, fresh process"
    return [
        median(f"{what}: layout of one layer", one, "s", "≤ 20"),
        median(f"{what}: whole step, two layers", whole, "s"),
    ]


def bench_memory(folder: Path, options: argparse.Namespace) -> list[Figure]:
    """Measure by how much the private memory of steps grows with the number of images, and their CPU time."""
    few, many = (large_sets.costs(folder / str(rows), rows) for rows in options.rows)
    between = " and ".join(f"{rows:,}" for rows in options.rows)
    figures = []
    for step, small in few.items():
        growth = (many[step].private_bytes - small.private_bytes) / 1e6
        figures += [
            Figure(f"{step}: private memory between {between} images", growth, "MB", "< 100", [growth]),
            median(f"{step}: CPU time of {options.rows[-1]:,} images", [many[step].cpu_seconds], "s"),
        ]
    return figures


def bench_listing(folder: Path, options: argparse.Namespace) -> list[Figure]:
    """Measure the CPU time, as files are in the cache, in which a long CSV file and a large folder are read."""
    table = large_sets.write_table(folder / "table", options.lines)
    images = large_sets.write_images(folder / "images", options.files)
    line, file = f"a CSV file of {options.lines:,} lines", f"a folder of {options.files:,} files"
    contestants: dict[str, Call] = {
        f"{line}: fingerprint": (large_sets.seconds_of_fingerprint, table),
        f"{line}: index": (large_sets.seconds_of_index, table),
        f"{line}: splits, groups whole": (large_sets.seconds_of_splits, table),
        f"{file}: fingerprint": (large_sets.seconds_of_fingerprint, images),
        f"{file}: index": (large_sets.seconds_of_listing, images),
    }
    return [median(name, seconds, "s") for name, seconds in rates_in_turns(contestants, options.rounds).items()]


def bench_photographs(folder: Path, options: argparse.Namespace) -> list[Figure]:
    """Measure how fast JPEG files are prepared, beside a plain loop of Pillow, and embedded by a ResNet-18."""
    count, cores = options.photographs, os.cpu_count() or 1
    images, what = photographs.write_photographs(folder / "photographs", count)
    encoder = photographs.write_encoder(folder / "encoder.safetensors")
    loop, prepared, embedded = [], [], []
    for number in range(options.rounds):
        loop.append(count / photographs.seconds_of_loop(images))
        prepared.append(count / photographs.prepare(images, folder / f"packed{number}").seconds)
        embedded.append(count / photographs.embed(encoder, images, folder / f"embedded{number}.parquet").seconds)
    return [
        median(f"plain loop of Pillow on {what}, for each core", [rate / cores for rate in loop], "images/s"),
        median(f"prepare of {what}, for each core", [rate / cores for rate in prepared], "images/s"),
        median("prepare beside the loop", ratios(prepared, loop), "×"),
        median(f"embed of {what} by a ResNet-18", embedded, "images/s"),
    ]


def bench_sweep(folder: Path, options: argparse.Namespace) -> list[Figure]:
    """Measure what sweeps of few and many runs cost beside their trainings: a dry run of all jobs, and the summary."""
    sweep, (few, many) = folder / "sweep", options.runs
    digits = data.digits(sweep / "digits")
    pairs = [
        [sweeps.costs(sweep / f"{number}-{runs}", digits, runs) for runs in (few, many)]
        for number in range(options.rounds)
    ]
    names = {"dry run": f"dry run of {sweeps.jobs(pairs[0][1]):,} jobs", "summary": f"summary of {many} runs"}
    figures = []
    for what, name in names.items():
        growth = [(large[what].private_bytes - small[what].private_bytes) / 1e6 for small, large in pairs]
        figures += [
            median(name, [large[what].seconds for _, large in pairs], "s"),
            median(f"{name}: private memory above that of {few} runs", growth, "MB"),
        ]
    return figures


PARTS = {
    "share": bench_share,
    "startup": bench_startup,
    "streaming": bench_streaming,
    "umap": bench_umap,
    "memory": bench_memory,
    "listing": bench_listing,
    "photographs": bench_photographs,
    "sweep": bench_sweep,
}


def rates_in_turns(contestants: Mapping[str, Call], rounds: int) -> dict[str, list[float]]:
    """Return the images/s of each contestant in each round.

    Raises RuntimeError when one fails.
    """
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in in_turns(contestants, rounds):
        if turn.failure:
            raise RuntimeError(f"{turn.name}: {turn.failure}")
        rates[turn.name].append(turn.value)
    return rates


def ratios(values: Sequence[float], others: Sequence[float]) -> list[float]:
    """Return the ratio of each round."""
    return [value / other for value, other in zip(values, others, strict=True)]


def median(name: str, rounds: Sequence[float], unit: str, target: str = "") -> Figure:
    """Return the figure of several rounds."""
    return Figure(name, statistics.median(rounds), unit, target, rounds)


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as Markdown."""
    return "\n".join(["| figure | median | target | rounds |", "|---|---|---|---|", *map(str, figures)])


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options of a command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; left out: all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10, help="timed steps of a round of `share`")
    parser.add_argument("--batch", type=int, default=64, help="batch size of `share`")
    parser.add_argument("--minutes", type=float, default=0.75, help="time of each training of `streaming`")
    parser.add_argument("--points", type=int, default=10_000, help="images that `umap` draws")
    parser.add_argument("--rows", type=int, nargs=2, default=(50_000, 200_000), help="images that `memory` compares")
    parser.add_argument("--lines", type=int, default=1_000_000, help="of the CSV file of `listing`")
    parser.add_argument("--files", type=int, default=200_000, help="in the folder of `listing`")
    parser.add_argument("--photographs", type=int, default=5_000, help="JPEG files of `photographs`")
    parser.add_argument(
        "--runs", type=int, nargs=2, default=(25, 100), help="sizes of the sweeps that `sweep` compares"
    )
    return parser.parse_args(arguments)


def main() -> None:
    """Run the parts that are asked for."""
    options = parse()
    die_with_parent()  # as the contestants do with this process
    os.environ[STARTER] = as_starter()  # and the steps
    record = Record("pretrain", None, None)
    parts: list[Callable[..., list[Figure]]] = [PARTS[name] for name in options.parts or PARTS]
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        for part in parts:
            figures += part(Path(folder), options)
    print(table(figures))
    facts = record.finish()
    named = [f"{datetime.now(UTC):%Y-%m-%d}", *(options.parts or ["all"]), facts["hardware"]["processor"] or "machine"]
    name = re.sub(r"[^\w.]+", "-", "-".join(named)) + ".json"
    command = shlex.join(["python", "-m", "tests.benchmarks.bench", *sys.argv[1:]])
    content = {"figures": [asdict(figure) for figure in figures], "options": vars(options), **facts, "command": command}
    write_json(RECORDS / name, content)
    print(f"written to {RECORDS / name}")


if __name__ == "__main__":
    main()
