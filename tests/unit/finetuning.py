"""Small fine-tunings on digits, in the process of the test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from simclr_steps.files import read_json
from simclr_steps.machine.options import Hardware
from simclr_steps.settings.finetuned import FinetunedSettings
from simclr_steps.settings.judged import JudgedBy
from simclr_steps.steps.finetune import finetune

SMALL = FinetunedSettings(labels=40, epochs=3, batch_size=16, learning_rate=0.02)


def train(
    out: Path,
    encoder: Path | None,
    data: Path,
    settings: FinetunedSettings = SMALL,
    seed: int = 0,
    weights: Path | None = None,
    judged_by: JudgedBy = "test",
) -> dict[str, Any]:
    hardware = Hardware(gpus=0)
    finetune(
        settings,
        encoder=encoder,
        weights=weights,
        data=data,
        seed=seed,
        judged_by=judged_by,
        out=out,
        work=out.with_name(f"{out.name}.work"),
        hardware=hardware,
    )
    metrics: dict[str, Any] = read_json(out / "metrics.json")
    return metrics


def changed(settings: FinetunedSettings = SMALL, **changes: Any) -> FinetunedSettings:
    return FinetunedSettings.model_validate(settings.model_dump() | changes)
