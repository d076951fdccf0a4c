"""How long and how fast to fine-tune and to train from scratch: one grid for both, judged on the hold-out.

    python -m tests.benchmarks.baselines FOLDER digits
    SIMCLR_TEST_DATA=ORIGINALS python -m tests.benchmarks.baselines FOLDER mnist

The digits are those of the demo, with its encoder; of MNIST there are 2,000 images in each split, with the recipe's
blocks and a small network. ORIGINALS holds the files of MNIST. FOLDER keeps the packed images, the encoder and each
accuracy, so that an interrupted search goes on. A line shows the best learning rate, weight decay and layer decay of
one start and number of epochs. The test split is never read.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml

from simclr_steps.data.packed import read_description, read_split
from simclr_steps.data.splits import stratified_draw
from simclr_steps.machine.options import Hardware
from simclr_steps.methods.candidate_files import read_candidate
from simclr_steps.methods.classifier import Supervised, labeled_logits
from simclr_steps.networks.encoders import Classifier, Encoder
from simclr_steps.settings.config import Config, read_config
from simclr_steps.settings.finetune import FinetuneSettings
from simclr_steps.settings.plan import plan
from simclr_steps.steps.pretrain import pretrain
from simclr_steps.training.trainer import build_trainer
from tests.benchmarks.data import REPOSITORY, pack

CPU = Hardware(gpus=0)
KEYS = ("weight_decay", "epochs", "layer_decay", "learning_rate")  # the last changes first
SMALL_NETWORK = "tests.benchmarks.small_network:small_network"
STARTS = {"pretrained": "SimCLR", "random": "scratch"}


@dataclass(frozen=True)
class Study:
    """What is searched for one data set."""

    config: Config  # whose data set and pretraining are taken
    block: FinetuneSettings  # what the grid is laid over
    labels: tuple[int | float, ...]
    draws: int
    grid: dict[str, tuple[Any, ...]]  # by key; layer_decay is for what starts from an encoder


def main() -> None:
    """Search the data sets that are named, and print a table."""
    folder, *names = sys.argv[1:]
    torch.set_num_threads(1)
    for name in names:
        study = STUDIES[name]()
        packed, encoder = _prepared(study.config, Path(folder, name).absolute())
        search(study, packed, encoder, Path(folder, name, "accuracies.csv"))
        print_table(name, pd.read_csv(Path(folder, name, "accuracies.csv")))


def _digits() -> Study:
    config = _read("config/config.yaml", {})
    grid = {
        "learning_rate": (1e-3, 3e-4, 3e-3),
        "epochs": (40, 15, 80),
        "weight_decay": (1e-4, 0.1),
        "layer_decay": (1.0, 0.7),
    }
    return Study(config, config.finetunes["scratch"], (50,), 2, grid)


def _mnist() -> Study:
    cut = {
        "datasets": {"mnist": {"subset": 2000, "path": os.environ["SIMCLR_TEST_DATA"]}},
        "pretrains": {"simclr": {"encoder": SMALL_NETWORK, "global_batch_size": 256}},
    }
    config = _read("config/recipes/mnist.yaml", cut)
    grid = {
        "learning_rate": (0.03, 0.01, 0.1),
        "epochs": (30, 100, "auto"),
        "weight_decay": (5e-4, 5e-3),
        "layer_decay": (1.0, 0.7),
    }
    return Study(config, config.finetunes["scratch_1"], (0.01, 0.3), 2, grid)


STUDIES = {"digits": _digits, "mnist": _mnist}


def _read(file: str, cut: dict[str, dict[str, dict[str, Any]]]) -> Config:
    """Return a config with some keys of its blocks replaced."""
    content = yaml.safe_load((REPOSITORY / file).read_text(encoding="utf-8"))
    for section, blocks in cut.items():
        for name, keys in blocks.items():
            content[section][name] |= keys
    return read_config(content)


def _prepared(config: Config, folder: Path) -> tuple[Path, Encoder]:
    """Pack the images and pretrain, unless an earlier search has; return the packed folder and the last encoder."""
    [dataset], packed, out = config.datasets.values(), folder / "packed", folder / "pretrain"
    if not (packed / "dataset.json").exists():
        pack(dataset.model_dump(mode="json"), folder)
    if not (out / "run.json").exists():
        settings = plan(config).pretrains["simclr"]
        pretrain(settings, data=packed, seed=0, out=out, work=folder / "work", hardware=CPU)
    return packed, read_candidate(out / "last.ckpt")[1]


def combinations(study: Study) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield the settings and the draw of each training; the same for both starts, but for layer_decay."""
    grid = [study.grid[key] for key in KEYS]
    for draw, labels, values, init in itertools.product(
        range(study.draws), study.labels, itertools.product(*grid), STARTS
    ):
        chosen = dict(zip(KEYS, values, strict=True))
        if init == "pretrained" or chosen["layer_decay"] == 1:
            yield {"labels": labels, "init": init, **chosen}, draw


def search(study: Study, packed: Path, encoder: Encoder, results: Path) -> None:
    """Train each combination that `results` lacks, and add a line with its accuracy on the hold-out."""
    known = pd.read_csv(results).to_dict("records") if results.exists() else []
    done = {tuple(str(row[key]) for key in ("labels", "init", *KEYS, "draw")) for row in known}
    for chosen, draw in combinations(study):
        row = {**chosen, "draw": draw}
        if tuple(map(str, row.values())) not in done:
            block = FinetuneSettings.model_validate(study.block.model_dump() | chosen)
            row |= _trained(block, encoder, packed, draw)
            pd.DataFrame([row]).to_csv(results, mode="a", header=not results.exists(), index=False)
            print(row, file=sys.stderr, flush=True)


def _trained(block: FinetuneSettings, encoder: Encoder, packed: Path, draw: int) -> dict[str, Any]:
    """Return how many epochs one classifier took, and its accuracy on the hold-out."""
    description, train, hold_out = (
        read_description(packed),
        read_split(packed, "train"),
        read_split(packed, "validation"),
    )
    rows = stratified_draw(train.labels, block.labels, (description.split_seed, draw))
    torch.manual_seed(draw)
    network = Classifier(encoder.architecture, len(description.classes), block.head)
    if block.init == "pretrained":
        network.backbone.load_state_dict(encoder.backbone.state_dict())
        network.normalization.load_state_dict(encoder.normalization.state_dict())
    module = Supervised(block, network, train, hold_out, rows, seed=draw)
    devices = CPU.claim()
    build_trainer(devices, precision=block.precision, epochs=module.epochs).fit(module)
    logits, labels = labeled_logits(module.network, hold_out, devices.device)
    accuracy = float((logits.argmax(dim=1) == labels).float().mean())
    return {"label_count": len(rows), "trained_epochs": module.epochs, "images": len(labels), "accuracy": accuracy}


def print_table(name: str, found: pd.DataFrame) -> None:
    """Print the best of each number of labels, start and number of epochs, over the mean of the draws."""
    keys = ["label_count", "init", "trained_epochs", "learning_rate", "weight_decay", "layer_decay"]
    means = found.groupby(keys, sort=False)["accuracy"].agg(["mean", "count"]).reset_index()
    print("| data | labels | start | epochs | learning rate | weight decay | layer decay | hold-out | draws |")
    print("|---|---|---|---|---|---|---|---|---|")
    for _, group in means.sort_values(keys[:3]).groupby(keys[:3], sort=False):
        best = group.sort_values("mean", ascending=False, kind="stable").iloc[0]
        cells = [name, best["label_count"], STARTS[best["init"]], best["trained_epochs"]]
        cells += [f"{best[key]:g}" for key in keys[3:]]
        print("| " + " | ".join(map(str, [*cells, f"{100 * best['mean']:.1f}", best["count"]])) + " |")


if __name__ == "__main__":
    main()
