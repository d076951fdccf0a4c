"""What it costs to classify photographs beside decoding them alone, and to search in many features.

    SIMCLR_TEST_DATA=FOLDER python -m tests.benchmarks.new_images

FOLDER holds `photos`, real JPEG files, of which 500 × 500 pixels are cut at random. The network of the classifier
computes next to nothing, so that what is left is reading. The plain loop is Pillow's: it decodes, makes RGB of it and
resizes, in as many processes as there are cores. The features to search in are random numbers. The contestants run in
turns.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from simclr_steps.files import checksum
from simclr_steps.settings.pretrain import PretrainSettings
from tests.benchmarks.commands import Cost, cost
from tests.benchmarks.data import STEP, write_network
from tests.benchmarks.photographs import READ_AT, originals, seconds_of_loop, write_photographs

FEW, MANY = 2_500, 10_000
ROWS, FEATURES, QUERIES = 1_000_000, 512, 3
ROUNDS = 3
_ROWS_AT_A_TIME = 50_000


def main() -> None:
    """Print a line for each contestant."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        few, many = (write_photographs(folder / str(count), count)[0] for count in (FEW, MANY))
        next_to_nothing = PretrainSettings(encoder="tests.own_encoders:without_batch_norm")
        model = write_network(
            folder / "model.safetensors", next_to_nothing, (READ_AT, READ_AT), 3, classes=["ants", "bees"]
        )
        rounds = []
        for _ in range(ROUNDS):
            alone, one = seconds_of_loop(many), _classify(model, many, folder)
            rounds.append((MANY / alone, MANY / one.seconds, alone / one.seconds, one.private_bytes / 1e6))
        loop, classified, share, memory = zip(*rounds, strict=True)
        _tell("images/s of Pillow's loop", loop)
        _tell("images/s of classify, from start to end", classified)
        _tell("classify beside the loop", share)
        _tell(f"MB of classify at {MANY:,} images", memory)
        _tell(f"MB of classify at {FEW:,} images", [_classify(model, few, folder).private_bytes / 1e6])

        encoder = write_network(
            folder / "encoder.safetensors", PretrainSettings(encoder="resnet18"), (READ_AT, READ_AT), 3
        )
        for rows in (ROWS // 10, ROWS):
            features = _write_features(folder / f"features{rows}", encoder, rows)
            spent = _search(encoder, features, sorted(few.iterdir())[:QUERIES], folder)
            _tell(f"seconds of search, {QUERIES} images in {rows:,} rows", [spent.seconds])
            _tell("MB of it", [spent.private_bytes / 1e6])


def _tell(what: str, values: Sequence[float]) -> None:
    print(f"{what}: {statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})", flush=True)


def _classify(model: Path, images: Path, folder: Path) -> Cost:
    options = [f"--model={model}", f"--images={images}", f"--out={folder / 'classes.csv'}", "--gpus=0"]
    return cost([*STEP, "classify", *options])


def _search(encoder: Path, features: Path, queries: Sequence[Path], folder: Path) -> Cost:
    images = [word for query in queries for word in ("--image", str(query))]
    places = [f"--encoder={encoder}", f"--features={features}", f"--out={folder / 'found.csv'}", "--gpus=0"]
    return cost([*STEP, "search", *places, *images])


def _write_features(folder: Path, encoder: Path, rows: int) -> Path:
    """Write what gather would."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    values = np.lib.format.open_memmap(folder / "backbone.npy", "w+", np.float32, (rows, FEATURES))
    for start in range(0, rows, _ROWS_AT_A_TIME):
        part = values[start : start + _ROWS_AT_A_TIME]
        part[:] = draw.standard_normal(part.shape, dtype=np.float32)
    values.flush()
    table: dict[str, Any] = {"row": range(rows), "source": [f"train/{row:07}.png" for row in range(rows)]}
    table |= {"label": pd.Series([None] * rows, dtype="Int64"), "class": [None] * rows}
    pd.DataFrame(table).to_parquet(folder / "rows.parquet", index=False)
    facts = {"split": "train", "model_hash": checksum(encoder), "predict": {"data_hash": "random"}}
    (folder / "run.json").write_text(json.dumps(facts))
    return folder


if __name__ == "__main__":
    if not originals():
        sys.exit("SIMCLR_TEST_DATA names no folder with photos")
    main()
