"""Small pretrainings on digits, in the process of the test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from simclr_steps.files import read_table
from simclr_steps.machine.options import Hardware
from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.network import ProjectionHead
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.steps.pretrain import pretrain

CPU = Hardware(gpus=0)
SMALL = PretrainSettings(
    encoder="tests.own_encoders:smooth_with_batch_norm",
    epochs=4,
    global_batch_size=40,
    temperature=0.2,
    optimizer="adamw",
    learning_rate=1e-3,
    learning_rate_scaling="none",
    projection_head=ProjectionHead(hidden_size=32, output_size=16),
    augmentation=Augmentation(crop_scale=(0.3, 1.0), horizontal_flip_probability=0.0, rotation_degrees=20.0),
    precision="fp32",
)
OWN = SMALL.model_copy(update={"encoder": "tests.own_encoders:without_batch_norm"})
TIMES = ("images_per_second", "seconds")


def history(folder: Path) -> list[dict[str, str]]:
    """Return the history without what depends on the clock."""
    return [{k: v for k, v in row.items() if k not in TIMES} for row in read_table(folder / "history.csv")]


def train(out: Path, data: Path, settings: PretrainSettings = SMALL, seed: int = 0, **hardware: Any) -> Path:
    chosen = Hardware(**hardware) if hardware else CPU
    pretrain(settings, data=data, seed=seed, out=out, work=out.with_name(f"{out.name}.work"), hardware=chosen)
    return out
