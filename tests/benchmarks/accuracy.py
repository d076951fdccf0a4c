"""Parts of a benchmark of a GPU: a whole pretraining and its accuracy, and fine-tunings from its encoder."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from simclr_steps.data.packed import read_split
from simclr_steps.evaluation.neighbors import knn_accuracy
from simclr_steps.evaluation.penalty import choose_penalty
from simclr_steps.files import checksum, read_json, read_table, write_json
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.options import Saving
from simclr_steps.methods.candidate_files import read_candidate
from simclr_steps.networks.encoders import Encoder, save_network
from simclr_steps.networks.features import compute_features
from simclr_steps.settings.finetune import FinetuneSettings
from simclr_steps.settings.finetuned import finetuned
from simclr_steps.settings.pretrain import FittedPretrain
from simclr_steps.steps.finetune import finetune
from simclr_steps.steps.pretrain import pretrain
from tests.benchmarks.record import read_part
from tests.benchmarks.session import Session
from tests.benchmarks.speed import peak_memory

Figures = dict[str, Any]
LABELS = (0.01, 0.1, 0.3, 1.0)
_NEIGHBORS = 10
_SECONDS_TO_JUDGE = 60
_SHARE_OF_TIME = 0.9  # of what is left; the rest is for saves and slow moments


def measure_accuracy(session: Session) -> Iterator[Figures]:
    """Pretrain, then judge the last encoder on the test split, once."""
    _need_labels(session)
    out = session.trained / "pretrain"
    memory = _pretrain(session, out)
    candidate, encoder = read_candidate(out / "last.ckpt")
    file = session.trained / "encoder.safetensors"
    save_network(file, encoder)
    figures = {
        **_training(out),
        "epochs": candidate.epoch,
        "peak_memory_bytes": memory,
        "encoder_sha256": checksum(file),
        "run": read_json(out / "run.json"),
    }
    yield figures
    for accuracy in _judge(encoder, session.packed, session.device):
        figures |= accuracy
        yield figures


def measure_finetuning(session: Session) -> Iterator[Figures]:
    """Fine-tune on shares of the labels, from the encoder of `accuracy` and from scratch; one table after the other."""
    _need_labels(session)
    encoder = session.trained / "encoder.safetensors"
    if not encoder.exists():
        raise UserError(f"{encoder} does not exist: run the part accuracy first")
    rows: list[Figures] = []
    for seed in range(session.options.seeds):
        for share in LABELS:
            for name, block in session.recipe.finetunes.items():
                accuracy = _finetuned(session, encoder, name, block, share, seed)
                rows.append({"block": name, "init": block.init, "labels": share, "seed": seed, "accuracy": accuracy})
                yield {"table": _table(rows), "rows": rows}


def _need_labels(session: Session) -> None:
    if not session.options.cifar10:
        raise UserError("accuracy takes the real images: name the folder of cifar-10-batches-py with --cifar10")


def _pretrain(session: Session, out: Path) -> int:
    """Train unless an earlier run has; return the most memory that it took on the GPU."""
    if session.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    if not (out / "run.json").exists():
        pretrain(
            settings_that_fit(session),
            data=session.packed,
            seed=session.options.seed,
            out=out,
            work=session.trained / "work",
            hardware=session.hardware,
            saving=Saving(every_minutes=2.0, leave_by=session.leave_by),
        )
    return peak_memory()


def settings_that_fit(session: Session) -> FittedPretrain:
    """Return the block, with --fit-epochs of no more epochs than there was time for when it was first asked for."""
    if not session.options.fit_epochs:
        return session.chosen
    file = session.trained / "epochs.json"
    if not file.exists():
        write_json(file, _fitting_epochs(session))
    return session.chosen.model_copy(update={"epochs": read_json(file)})


def _fitting_epochs(session: Session) -> int:
    measured = read_part(session, "epochs", session.basis)
    if not measured.get("done"):
        raise UserError("--fit-epochs needs the time of an epoch: run the part epochs first")
    return min(session.chosen.epochs, epochs_that_fit(measured, session.seconds_left()))


def epochs_that_fit(measured: Figures, seconds: float) -> int:
    """Return how many epochs, one at least, and the judging after them fit, as the part `epochs` has measured them."""
    an_epoch = measured["images_per_epoch"] / measured["images_per_second"]["end to end, plain"]
    return max(1, int(_SHARE_OF_TIME * (seconds - _SECONDS_TO_JUDGE) / an_epoch))


def _training(out: Path) -> Figures:
    first, *rows = read_table(out / "history.csv")
    seconds = [float(row["seconds"]) for row in rows]
    epochs = [after - before for before, after in pairwise([float(first["seconds"]), *seconds])]
    return {
        "training_seconds": seconds[-1],
        "seconds_per_epoch": statistics.median(epochs),
        "slowest_epoch_seconds": max(epochs),
        "images_per_second": statistics.median(float(row["images_per_second"]) for row in rows),
        "losses": [float(row["loss"]) for row in rows],
    }


def _judge(encoder: Encoder, packed: Path, device: torch.device) -> Iterator[dict[str, float]]:
    started = time.monotonic()
    splits = {name: read_split(packed, name) for name in ("train", "test")}
    labels = {name: split.labels for name, split in splits.items()}
    features = {name: compute_features(encoder, split.images, device)[0] for name, split in splits.items()}
    bank, queries = (torch.from_numpy(features[name]).to(device) for name in ("train", "test"))
    knn = knn_accuracy(bank, labels["train"], queries, labels["test"], _NEIGHBORS)
    knn_done = time.monotonic()
    yield {"knn_accuracy": knn, "knn_seconds": knn_done - started}
    plain, known = features["train"], labels["train"]
    penalty, probe = choose_penalty(plain[None], plain, known, None, device)
    linear = probe.accuracy(features["test"], labels["test"])
    yield {"linear_accuracy": linear, "linear_C": penalty, "linear_seconds": time.monotonic() - knn_done}


def _finetuned(session: Session, encoder: Path, name: str, block: FinetuneSettings, share: float, seed: int) -> float:
    """Fine-tune unless an earlier run has; return the accuracy on the test split."""
    place = session.trained / f"finetune-{name}-{share:g}-seed{seed}"
    if not (place / "metrics.json").exists():
        settings = finetuned(name, block, "simclr", session.chosen).model_copy(update={"labels": share, "draws": 1})
        finetune(
            settings,
            encoder=None if settings.network else encoder,
            data=session.packed,
            seed=seed,
            out=place,
            work=session.trained / "work",
            hardware=session.hardware,
            saving=Saving(leave_by=session.leave_by),
        )
    accuracy: float = read_json(place / "metrics.json")["draws"][0]["test"]["accuracy"]
    return accuracy


def _table(rows: Sequence[Figures]) -> list[Figures]:
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
