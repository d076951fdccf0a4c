"""Measure on a GPU: its tests, agreement with the CPU, speed, accuracy, fine-tuning. One JSON holds all that was found.

    python -m tests.benchmarks.gpu --cifar10 FOLDER --work WORK --record gpu.json --minutes 9
    python -m tests.benchmarks.gpu … accuracy --pretrain resnet18_500

It ends by itself before `--minutes` have passed, with exit status 75 when something is left; the same command then goes
on from there: what is done by the same commit is not repeated, and a training goes on from where it was saved. The
record is written anew after each part. Neither Snakemake nor umap-learn is needed. GPU.md beside this file is the plan
for a rare GPU.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import time
import traceback
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import yaml

from simclr_steps.checkpoints import read_candidate
from simclr_steps.encoders import Encoder, save_network
from simclr_steps.errors import Stopped, UserError
from simclr_steps.experiments import read_config
from simclr_steps.features import compute_features
from simclr_steps.files import checksum, read_json, read_table, write_json
from simclr_steps.finetune import finetune
from simclr_steps.hardware import Hardware, Saving
from simclr_steps.linear_probe import linear_probe
from simclr_steps.logs import start_logging
from simclr_steps.neighbours import knn_accuracy
from simclr_steps.packed import read_split
from simclr_steps.pretrain import pretrain
from simclr_steps.provenance import Record
from simclr_steps.settings import Config, PretrainSettings
from tests.benchmarks import data, throughput
from tests.benchmarks.bench import in_turns
from tests.benchmarks.profiling import profile_steps
from tests.benchmarks.two_processes import losses

RECIPE = data.REPOSITORY / "config/recipes/cifar10.yaml"
NEIGHBOURS = 10
AGREEMENT_STEPS, AGREEMENT_BATCH = 20, 128
# Moving a ResNet-18's weights by one rounding moves the loss by 1e-7 in step 1 and by 1e-4 in step 20, at a tenth of
# the rate (CPU, batch 32); at the whole rate by 4e-3, so that it would tell less.
RATE, FIRST_TOLERANCE, TOLERANCE = 0.1, 1e-5, 5e-3
LABELS = (0.01, 0.1, 0.3, 1.0)
_EPOCHS_OF_END_TO_END = 3  # the first is not timed


@dataclass(frozen=True)
class Bench:
    """What all parts know."""

    options: argparse.Namespace
    hardware: Hardware
    leave_by: float  # on time.monotonic()'s clock

    @cached_property
    def recipe(self) -> Config:
        """The config that the data set, the pretraining and the fine-tunings are of."""
        return read_config(yaml.safe_load(self.options.recipe.read_text(encoding="utf-8")))

    @cached_property
    def chosen(self) -> PretrainSettings:
        """The block of the pretraining."""
        if self.options.pretrain not in self.recipe.pretrains:
            raise UserError(f"--pretrain {self.options.pretrain}: {self.options.recipe} has no such block")
        return self.recipe.pretrains[self.options.pretrain]

    @cached_property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.hardware.device()

    @cached_property
    def packed(self) -> Path:
        """CIFAR-10, or as many random images where its files are not at hand."""
        folder: Path = self.options.work / ("cifar10" if self.options.cifar10 else "random")
        if not (folder / "packed" / "dataset.json").exists():
            shutil.rmtree(folder, ignore_errors=True)
            if self.options.cifar10:
                block = self.recipe.datasets["cifar10"].model_dump(mode="json", exclude_unset=True)
                data.pack({**block, "path": str(self.options.cifar10)}, folder)
            else:
                data.random_images(folder, 50_000)
        return folder / "packed"

    @property
    def trained(self) -> Path:
        """The folder of this pretraining and its seed."""
        folder: Path = self.options.work / f"{self.options.pretrain}-seed{self.options.seed}"
        return folder

    def need_labels(self) -> None:
        """Raise UserError where the images are random."""
        if not self.options.cifar10:
            raise UserError("accuracy takes the real images: name the folder of cifar-10-batches-py with --cifar10")


def run_tests(bench: Bench) -> dict[str, Any]:
    """Run the tests marked `gpu`, of the modules that have any."""
    modules = [file for file in sorted((data.REPOSITORY / "tests/unit").glob("test_*.py")) if _has_gpu_tests(file)]
    report = bench.options.work / "tests.xml"
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    done = subprocess.run([*command, *map(str, modules)], cwd=data.REPOSITORY, check=False)
    cases = list(ET.parse(report).iter("testcase"))
    ends = {
        kind: [_name(case) for case in cases if case.find(kind) is not None] for kind in ("failure", "error", "skipped")
    }
    return {"exit_status": done.returncode, "tests": len(cases), **ends}


def _has_gpu_tests(file: Path) -> bool:
    return re.search(r"pytest\.mark\.gpu\b", file.read_text(encoding="utf-8")) is not None


def _name(case: ET.Element) -> str:
    return f"{case.get('classname')}.{case.get('name')}"


def compare_with_cpu(bench: Bench) -> dict[str, Any]:
    """Train the same few steps in fp32 on the CPU and on the device."""
    batch = min(AGREEMENT_BATCH, bench.chosen.global_batch_size)
    folder = bench.options.work / "agreement"
    shutil.rmtree(folder, ignore_errors=True)
    packed = data.random_images(folder, batch)  # one step is then an epoch, whose loss is on record
    few = _slow(bench, batch).model_copy(update={"epochs": AGREEMENT_STEPS, "precision": "fp32"})
    found = {}
    for name, hardware in (("cpu", Hardware(gpus=0)), ("device", replace(bench.hardware, compile="never"))):
        pretrain(few, data=packed, seed=0, out=folder / name, work=folder / "work", hardware=hardware)
        found[name] = _losses(folder / name)
    return _compared(found["cpu"], found["device"], batch)


def compare_processes(bench: Bench) -> dict[str, Any]:
    """Train the same few steps in one process and in two that share the device."""
    batch = min(AGREEMENT_BATCH, bench.chosen.global_batch_size)
    few = _slow(bench, batch)
    one, two = (losses(bench.packed, few, processes, bench.device, AGREEMENT_STEPS) for processes in (1, 2))
    return _compared(one, two, batch)


def _slow(bench: Bench, batch: int) -> PretrainSettings:
    return bench.chosen.model_copy(
        update={"global_batch_size": batch, "learning_rate": RATE * bench.chosen.learning_rate}
    )


def _compared(expected: Sequence[float], found: Sequence[float], batch: int) -> dict[str, Any]:
    differences = [abs(a - b) / abs(a) for a, b in zip(expected, found, strict=True)]
    return {
        "agree": differences[0] <= FIRST_TOLERANCE and max(differences) <= TOLERANCE,
        "first_relative_difference": differences[0],
        "largest_relative_difference": max(differences),
        "tolerances": {"first": FIRST_TOLERANCE, "all": TOLERANCE},
        "steps": len(expected),
        "batch": batch,
        "expected": list(expected),
        "found": list(found),
    }


def measure_speed(bench: Bench) -> dict[str, Any]:
    """Measure images/s end to end, of the bare step and of CPU augmentation, in turns, and the memory they take."""
    few = bench.chosen.model_copy(update={"epochs": _EPOCHS_OF_END_TO_END})
    packed, steps, workers = bench.packed, bench.options.steps, bench.options.workers
    contestants: dict[str, tuple[Any, ...]] = {}
    compiled = {
        "plain": replace(bench.hardware, compile="never"),
        "compiled": replace(bench.hardware, compile="always"),
    }
    for name in _kinds(bench):
        contestants[f"end to end, {name}"] = (throughput.end_to_end, packed, few, compiled[name], Saving())
        contestants[f"bare step, {name}"] = (throughput.bare_step, packed, few, compiled[name], steps)
    if bench.device.type == "cuda":
        graphs = (throughput.bare_step, packed, few, compiled["compiled"], steps, "reduce-overhead")
        contestants["bare step, compiled, CUDA graphs"] = graphs
    contestants["lightly"] = (throughput.lightlys, packed, few, bench.hardware, steps, workers)
    contestants["torchvision"] = (throughput.torchvisions, packed, few, bench.hardware, steps, workers)
    contestants["views alone, plain"] = (throughput.views, packed, few, bench.hardware, steps)
    rounds = in_turns(
        {name: (_with_memory, *what) for name, what in contestants.items()}, bench.options.rounds, Exception
    )
    rates = {name: statistics.median(rate for rate, _ in found) for name, found in rounds.items()}
    best = max((rate for name, rate in rates.items() if name.startswith("end to end")), default=0.0)
    images = len(read_split(packed, "train")) // few.global_batch_size * few.global_batch_size
    return {
        "seconds_per_epoch": images / best if best else None,
        "share_of_bare_step": {
            name: rates[f"end to end, {name}"] / rates[f"bare step, {name}"]
            for name in _kinds(bench)
            if {f"end to end, {name}", f"bare step, {name}"} <= rates.keys()
        },
        "times_as_fast_as": {name: best / rates[name] for name in ("lightly", "torchvision") if name in rates},
        "images_per_second": rates,
        "rounds": {name: [rate for rate, _ in found] for name, found in rounds.items()},
        "peak_memory_bytes": {name: max(memory for _, memory in found) for name, found in rounds.items()},
        "left_out": sorted(contestants.keys() - rates.keys()),
        "workers": workers,
        "batch": few.global_batch_size,
    }


def profile_both(bench: Bench) -> dict[str, Any]:
    """Profile some steps, plain and compiled, each in a process of its own."""
    first, steps = min(30, bench.options.steps), min(20, bench.options.steps)
    compiled = {"plain": "never", "compiled": "always"}
    found = in_turns(
        {
            name: (
                profile_steps,
                bench.packed,
                bench.chosen,
                replace(bench.hardware, compile=compiled[name]),
                first,
                steps,
            )
            for name in _kinds(bench)
        },
        rounds=1,
        left_out=Exception,
    )
    return {name: figures for name, (figures,) in found.items()}


def _kinds(bench: Bench) -> tuple[str, ...]:
    return ("plain", "compiled") if bench.device.type == "cuda" else ("plain",)


def _with_memory(function: Callable[..., float], *arguments: Any) -> tuple[float, int]:
    rate = function(*arguments)
    return rate, _peak_memory()


def _peak_memory() -> int:
    return torch.cuda.max_memory_allocated() if torch.cuda.is_initialized() else 0


def measure_accuracy(bench: Bench) -> dict[str, Any]:
    """Pretrain, then judge the last encoder on the test split, once."""
    bench.need_labels()
    out = bench.trained / "pretrain"
    if bench.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    if not (out / "run.json").exists():
        pretrain(
            bench.chosen,
            data=bench.packed,
            seed=bench.options.seed,
            out=out,
            work=bench.trained / "work",
            hardware=bench.hardware,
            saving=Saving(every_minutes=2.0, leave_by=bench.leave_by),
        )
    memory = _peak_memory()
    candidate, encoder = read_candidate(out / "last.ckpt")
    file = bench.trained / "encoder.safetensors"
    save_network(file, encoder)
    rows = read_table(out / "history.csv")
    seconds = [float(row["seconds"]) for row in rows]
    epochs = [after - before for before, after in zip([0.0, *seconds], seconds, strict=False)]
    return {
        **_judge(encoder, bench.packed, bench.device),
        "epochs": candidate.epoch,
        "training_seconds": seconds[-1],
        "seconds_per_epoch": statistics.median(epochs),
        "slowest_epoch_seconds": max(epochs),
        "images_per_second": statistics.median(float(row["images_per_second"]) for row in rows),
        "peak_memory_bytes": memory,
        "losses": _losses(out),
        "encoder_sha256": checksum(file),
        "run": read_json(out / "run.json"),
    }


def _judge(encoder: Encoder, packed: Path, device: torch.device) -> dict[str, float]:
    started = time.monotonic()
    splits = {name: read_split(packed, name) for name in ("train", "test")}
    labels = {name: split.labels for name, split in splits.items()}
    features = {name: compute_features(encoder, split.images, device)[0] for name, split in splits.items()}
    bank, queries = (torch.from_numpy(features[name]).to(device) for name in ("train", "test"))
    knn = knn_accuracy(bank, labels["train"], queries, labels["test"], NEIGHBOURS)
    knn_done = time.monotonic()
    linear = linear_probe(features["train"][None], features, labels, device)["test"]
    return {
        "knn_accuracy": knn,
        "linear_accuracy": linear,
        "knn_seconds": knn_done - started,
        "linear_seconds": time.monotonic() - knn_done,
    }


def measure_finetuning(bench: Bench) -> dict[str, Any]:
    """Fine-tune on shares of the labels, from the encoder of `accuracy` and from scratch; one table after the other."""
    bench.need_labels()
    encoder = bench.trained / "encoder.safetensors"
    if not encoder.exists():
        raise UserError(f"{encoder} does not exist: run the part accuracy first")
    rows = []
    for seed in range(bench.options.seeds):
        for share in LABELS:
            for name, block in bench.recipe.finetunes.items():
                place = bench.trained / f"finetune-{name}-{share:g}-seed{seed}"
                if not (place / "metrics.json").exists():
                    finetune(
                        block.model_copy(update={"labels": share, "draws": 1}),
                        encoder=encoder,
                        data=bench.packed,
                        seed=seed,
                        out=place,
                        work=bench.trained / "work",
                        hardware=bench.hardware,
                        saving=Saving(leave_by=bench.leave_by),
                    )
                metrics = read_json(place / "metrics.json")
                accuracy = metrics["draws"][0]["test"]["accuracy"]
                rows.append({"block": name, "init": block.init, "labels": share, "seed": seed, "accuracy": accuracy})
    return {"table": _table(rows), "rows": rows}


def _table(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return mean and standard deviation over the seeds."""
    groups: dict[tuple[str, float], list[float]] = {}
    for row in rows:
        groups.setdefault((row["block"], row["labels"]), []).append(row["accuracy"])
    return [
        {
            "block": block,
            "labels": labels,
            "mean": statistics.mean(found),
            "sd": statistics.stdev(found) if len(found) > 1 else None,
            "seeds": len(found),
        }
        for (block, labels), found in groups.items()
    ]


def _losses(out: Path) -> list[float]:
    return [float(row["loss"]) for row in read_table(out / "history.csv")]


PARTS: dict[str, Callable[[Bench], dict[str, Any]]] = {  # the most valuable first
    "tests": run_tests,
    "agreement": compare_with_cpu,
    "throughput": measure_speed,
    "accuracy": measure_accuracy,
    "profile": profile_both,
    "processes": compare_processes,
    "finetune": measure_finetuning,
}
_OF_A_PRETRAINING = ("accuracy", "finetune")
# What the others take on an H200, as GPU.md predicts: they do not resume, so none is begun with less time left.
_SECONDS = {"tests": 90, "agreement": 60, "throughput": 150, "profile": 60, "processes": 40}


def run_parts(bench: Bench, names: Sequence[str]) -> int:
    """Run the parts that are not done; return the exit status: 0, 75 when time ran out, 1 when a part failed."""
    facts = Record("pretrain", None, None)
    failed = False
    for name in names:
        file = bench.options.work / "parts" / f"{_key(bench, name)}.json"
        before = read_json(file) if file.exists() else {"slices": 0, "seconds": 0.0}
        if before.get("done") and before["commit"] == bench.options.commit:
            print(f"{file.stem} is done already; remove {file} to run it again", flush=True)
            continue
        if time.monotonic() + _SECONDS.get(name, 0) >= bench.leave_by:
            print(f"no time is left for {file.stem}", flush=True)
            write_record(bench, facts)
            return os.EX_TEMPFAIL
        started, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
        result: dict[str, Any] = {}
        error: BaseException | None = None
        try:
            result = PARTS[name](bench)
        except (Exception, Stopped) as caught:  # the other parts are still worth their time
            error = caught
            result = {"stopped" if isinstance(caught, Stopped) else "failed": str(caught) or repr(caught)}
            if not isinstance(caught, Stopped | UserError):
                traceback.print_exc()
        part = {
            "done": error is None,
            "started": before.get("started", started),
            "slices": before["slices"] + 1,
            "seconds": round(before["seconds"] + time.monotonic() - clock, 2),
            "command": shlex.join(["python", "-m", "tests.benchmarks.gpu", *sys.argv[1:]]),
            "commit": bench.options.commit,
            "seed": bench.options.seed,
            **result,
        }
        write_json(file, part)
        write_record(bench, facts)
        print(f"{file.stem}: {_headline(part)}", flush=True)
        if isinstance(error, Stopped):
            return os.EX_TEMPFAIL
        failed |= error is not None
    write_record(bench, facts)
    return int(failed)


def _key(bench: Bench, name: str) -> str:
    return f"{name}-{bench.trained.name}" if name in _OF_A_PRETRAINING else name


def write_record(bench: Bench, facts: Record) -> None:
    """Write all that was found so far, by any run in this work folder."""
    parts = {file.stem: read_json(file) for file in sorted((bench.options.work / "parts").glob("*.json"))}
    images = "CIFAR-10" if bench.options.cifar10 else "random images of CIFAR-10's size"
    write_json(bench.options.record, {"device": device_facts(), "images": images, "parts": parts, **facts.finish()})


def device_facts() -> dict[str, Any]:
    """Return what torch and the driver tell of the GPU."""
    if not torch.cuda.is_available():
        return {"name": "none"}
    properties = torch.cuda.get_device_properties(0)
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    driver = subprocess.run(query, capture_output=True, text=True, check=False).stdout if shutil.which(query[0]) else ""
    return {
        "name": properties.name,
        "memory_bytes": properties.total_memory,
        "capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "driver": driver.strip(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "torch": torch.__version__,
    }


def _headline(part: dict[str, Any]) -> str:
    """Return the figures of a part that fit in a line."""
    return ", ".join(
        f"{key} {value}" for key, value in part.items() if not isinstance(value, list) and key not in ("run", "command")
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts that are asked for."""
    started = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; left out: all")
    parser.add_argument("--cifar10", type=Path, help="folder that holds cifar-10-batches-py; without it: random images")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps what the next run goes on from")
    parser.add_argument("--record", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--minutes", type=float, default=9.0, help="leave before so much time has passed (9)")
    parser.add_argument("--recipe", type=Path, default=RECIPE)
    parser.add_argument("--pretrain", default="resnet18_100", help="block of the recipe (resnet18_100)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the pretraining (0)")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of the fine-tunings (3)")
    parser.add_argument("--steps", type=int, default=100, help="timed steps of a round of throughput (100)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of throughput (3)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes of CPU augmentation (all cores)")
    parser.add_argument("--compile", default="auto", help="as the step pretrain has it (auto)")
    parser.add_argument("--gpus", type=int, help="0 keeps to the CPU")
    parser.add_argument("--commit", help="what the code is, for the record")
    options = parser.parse_args(arguments)
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]}; known are: {', '.join(PARTS)}")
    start_logging("gpu", None)
    bench = Bench(options, Hardware(gpus=options.gpus, compile=options.compile), started + 60 * options.minutes)
    return run_parts(bench, options.parts or list(PARTS))


if __name__ == "__main__":
    sys.exit(main())
