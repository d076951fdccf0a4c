"""Parts of a benchmark of a GPU: images per second of trainings, of the bare step and of the views, and profiles."""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from simclr_steps.data.packed import read_split
from simclr_steps.machine.compilation import missing
from simclr_steps.machine.options import Hardware, Saving
from tests.benchmarks import throughput
from tests.benchmarks.profiling import profile_steps
from tests.benchmarks.session import Session
from tests.benchmarks.turns import Call, in_turns

Figures = dict[str, Any]
EPOCHS = 3  # of a training end to end; the first is not timed
_AS_MANY_OF_OURS = 5  # steps of ours for one of lightly's, which has not done 103 within 60 s on 16 cores
PROFILED_STEPS, _FEWEST_PROFILED, _STEPS_BEFORE = 20, 10, 10


@dataclass(frozen=True)
class Measured:
    """What a contestant was seen to do in one turn."""

    rate: float  # images/s
    start_up: float  # seconds of all that is not timed: building, compiling, the first steps or epoch
    peak_memory: int  # bytes


def measure_epochs(session: Session) -> Iterator[Figures]:
    """Measure a pretraining end to end."""
    yield from _measure(session, {"end to end, plain": _end_to_end(session, _plain(session))})


def measure_step(session: Session) -> Iterator[Figures]:
    """Measure forward, loss, backward and update on a fixed batch, and the views by themselves."""
    contestants = {"bare step, plain": _bare_step(session, _plain(session))}
    yield from _measure(session, {**contestants, "views alone, plain": _views(session, _plain(session))})


def measure_compiled(session: Session) -> Iterator[Figures]:
    """Measure the same compiled, if all is there that compiling needs, and the bare step as a CUDA graph, too."""
    missing = missing_to_compile(session.device)
    if missing:
        yield {"missing": missing}
        return
    compiled = _compiled(session)
    contestants = {
        "views alone, compiled": _views(session, compiled),
        "end to end, compiled": _end_to_end(session, compiled),
        "bare step, compiled": _bare_step(session, compiled),
        "bare step, compiled, CUDA graphs": (*_bare_step(session, compiled), "reduce-overhead"),
    }
    yield from _measure(session, contestants)


def measure_others(session: Session) -> Iterator[Figures]:
    """Measure trainings whose views are made by worker processes: lightly's, and one with torchvision's transforms."""
    steps, workers = max(1, session.options.steps // _AS_MANY_OF_OURS), session.options.workers
    images = steps * session.chosen.global_batch_size
    same = (session.packed, session.chosen, _plain(session), steps, workers)
    contestants = {"lightly": throughput.lightlys, "torchvision": throughput.torchvisions}
    missing = [name for name in contestants if importlib.util.find_spec(name) is None]
    calls = {name: (images, function, *same) for name, function in contestants.items() if name not in missing}
    for figures in _measure(session, calls):
        yield {**figures, "workers": workers, "missing": missing}


def profile_plain(session: Session) -> Iterator[Figures]:
    """Profile some steps of a pretraining."""
    yield from _profile(session, "plain", _plain(session))


def profile_compiled(session: Session) -> Iterator[Figures]:
    """Profile some steps of a compiled pretraining, if all is there that compiling needs."""
    missing = missing_to_compile(session.device)
    if missing:
        yield {"missing": missing}
    else:
        yield from _profile(session, "compiled", _compiled(session))


def missing_to_compile(device: torch.device) -> list[str]:
    """Return what torch.compile does not find of all that it needs, before it fails in the midst of its work."""
    found = {
        "a GPU": device.type == "cuda",
        "Triton": importlib.util.find_spec("triton") is not None,
        "a C compiler and Python.h": missing(gpu=True) is None,
    }
    return [name for name, there in found.items() if not there]


def summary(parts: Mapping[str, Mapping[str, Any]]) -> Figures:
    """Return what the rates of several parts tell together."""
    rates = {name: rate for part in _SPEED_PARTS for name, rate in _rates(parts.get(part, {})).items()}
    ends = {kind: rates[f"end to end, {kind}"] for kind in ("plain", "compiled") if f"end to end, {kind}" in rates}
    best = max(ends.values(), default=0.0)
    return {
        "seconds_per_epoch": parts["epochs"]["images_per_epoch"] / best if best and "epochs" in parts else None,
        "share_of_bare_step": {
            kind: rate / rates[f"bare step, {kind}"] for kind, rate in ends.items() if f"bare step, {kind}" in rates
        },
        "times_as_fast_as": {name: best / rates[name] for name in ("lightly", "torchvision") if best and name in rates},
        "images_per_second": rates,
    }


_SPEED_PARTS = ("epochs", "step", "compiled", "others")


def _rates(part: Mapping[str, Any]) -> dict[str, float]:
    return dict(part.get("images_per_second", {}))


def _plain(session: Session) -> Hardware:
    return replace(session.hardware, compile="never")


def _compiled(session: Session) -> Hardware:
    return replace(session.hardware, compile="always")


def _end_to_end(session: Session, hardware: Hardware) -> Call:
    few = session.chosen.model_copy(update={"epochs": EPOCHS})
    timed = (EPOCHS - 1) * _images_per_epoch(session)
    return timed, throughput.end_to_end, session.packed, few, hardware, Saving()


def _bare_step(session: Session, hardware: Hardware) -> Call:
    steps = session.options.steps
    timed = steps * session.chosen.global_batch_size
    return timed, throughput.bare_step, session.packed, session.chosen, hardware, steps


def _views(session: Session, hardware: Hardware) -> Call:
    steps = session.options.steps
    timed = steps * session.chosen.global_batch_size
    return timed, throughput.views, session.packed, session.chosen, hardware, steps


def _steps_per_epoch(session: Session) -> int:
    return len(read_split(session.packed, "train")) // session.chosen.global_batch_size


def _images_per_epoch(session: Session) -> int:
    return _steps_per_epoch(session) * session.chosen.global_batch_size


def _measure(session: Session, contestants: Mapping[str, Call]) -> Iterator[Figures]:
    """Yield the figures of all turns so far, after each of them."""
    found: dict[str, list[Measured]] = {}
    left_out: dict[str, str] = {}
    calls = {name: (_measured, *call) for name, call in contestants.items()}
    for turn in in_turns(calls, session.options.rounds, session.limit()):
        if turn.failure:
            print(f"{turn.name} is left out: {turn.failure}", flush=True)
            left_out[turn.name] = turn.failure
        else:
            found.setdefault(turn.name, []).append(turn.value)
        yield {
            "images_per_second": {name: statistics.median(one.rate for one in turns) for name, turns in found.items()},
            "start_up_seconds": {name: turns[0].start_up for name, turns in found.items()},
            "peak_memory_bytes": {name: max(one.peak_memory for one in turns) for name, turns in found.items()},
            "rounds": {name: [one.rate for one in turns] for name, turns in found.items()},
            "left_out": dict(left_out),
            "images_per_epoch": _images_per_epoch(session),
            "batch": session.chosen.global_batch_size,
        }


def _measured(images: int, function: Callable[..., float], *arguments: Any) -> Measured:
    """Call a function that returns the images/s of a given number of images."""
    started = time.monotonic()
    rate = function(*arguments)
    return Measured(rate, time.monotonic() - started - images / rate, peak_memory())


def peak_memory() -> int:
    """Return the most bytes that this process's tensors have held on the GPU."""
    return torch.cuda.max_memory_allocated() if torch.cuda.is_initialized() else 0


def profiled_steps(in_an_epoch: int, wanted: int) -> int:
    """Return how many steps to profile, as an epoch has to hold those before and as many again that are only timed."""
    return min(PROFILED_STEPS, wanted, max(_FEWEST_PROFILED, (in_an_epoch - _STEPS_BEFORE) // 2))


def _profile(session: Session, name: str, hardware: Hardware) -> Iterator[Figures]:
    steps = profiled_steps(_steps_per_epoch(session), session.options.steps)
    call = (profile_steps, session.packed, session.chosen, hardware, min(_STEPS_BEFORE, steps), steps)
    for turn in in_turns({name: call}, limit=session.limit()):
        yield {"left_out": {name: turn.failure}} if turn.failure else {name: turn.value}
