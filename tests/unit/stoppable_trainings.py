"""Small trainings as processes of their own, to be stopped and run again."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch

from simclr_steps.networks.architecture import resolve
from simclr_steps.networks.encoders import Encoder, save_network
from simclr_steps.settings.finetuned import FinetunedSettings
from simclr_steps.settings.image_format import ImageFormat
from simclr_steps.settings.network import ProjectionHead
from simclr_steps.settings.pretrain import PretrainSettings
from tests.unit.step_processes import OWN_ENCODERS, content, run

PRETRAIN = PretrainSettings(
    encoder="own_encoders:with_batch_norm",
    epochs=8,
    global_batch_size=40,
    optimizer="adamw",
    learning_rate=1e-3,
    learning_rate_scaling="none",
    projection_head=ProjectionHead(hidden_size=16, output_size=8),
)
FINETUNE = FinetunedSettings(labels=100, epochs=8, batch_size=20, learning_rate=0.02, draws=2, keep="best")
GIVEN = PRETRAIN.model_copy(update={"freeze_epochs": 2, "backbone_learning_rate_factor": 0.5})  # weights, by init
FIRST = PRETRAIN.model_copy(update={"epochs": 2})
CONTINUED = PRETRAIN.model_copy(update={"parent": FIRST, "warmup_epochs": 2})
FROZEN = FINETUNE.model_copy(update={"freeze": True})


def arguments(step: str, data: Path, *options: str, **changes: Any) -> list[str]:
    """Return the command line of a small training that writes to out, in the folder where it starts."""
    pretrainings: dict[str, Any] = {"pretrain": PRETRAIN, "given": GIVEN, "continued": CONTINUED}
    kinds: dict[str, Any] = {**pretrainings, "finetune": FINETUNE, "frozen": FROZEN}
    places = ["--data", str(data), "--out", "out", "--work", "work"]
    encoder = data.parent / "encoder.safetensors"
    if step in ("given", "finetune", "frozen"):
        write_encoder(data.parent, changes.pop("encoder", PRETRAIN.encoder))
    if step == "given":
        changes["init"] = str(encoder)
    elif step == "continued":
        places += ["--parent", str(finished_parent(data))]
    elif step != "pretrain":
        places += ["--encoder", str(encoder)]
    settings = kinds[step].model_copy(update=changes).model_dump_json()
    command = "pretrain" if step in pretrainings else "finetune"
    return [command, "--settings", settings, *places, "--seed", "0", "--gpus", "0", *options]


def write_encoder(folder: Path, encoder: str) -> None:
    """Write an untrained encoder."""
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        shutil.copy(OWN_ENCODERS, folder)
        patch.chdir(folder)
        torch.manual_seed(0)
        settings = PRETRAIN.model_copy(update={"encoder": encoder})
        save_network(folder / "encoder.safetensors", Encoder(resolve(settings, ImageFormat.of_8_bits((8, 8), 1))))


def finished_parent(data: Path) -> Path:
    """Return the folder of the pretraining that another continues; it is trained once."""
    folder = data.parent / "first"
    if not folder.exists():
        folder.mkdir()
        run(arguments("pretrain", data, epochs=FIRST.epochs), folder)
    return folder / "out"


def folder_for(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    return folder


def checkpoint(folder: Path) -> Path | None:
    return next(folder.glob("work/*/*[!s].ckpt"), None)


def wait_for(condition: Callable[[], Any], process: BaseProcess) -> None:
    """Wait until something is so, while a process runs."""
    while not condition():
        assert process.is_alive(), "it ended too early"
        time.sleep(0.002)


_WHOLE: dict[str, dict[str, Any]] = {}


def uninterrupted(step: str, data: Path, **changes: int) -> dict[str, Any]:
    """Return what a training writes that nothing disturbs; each is run once."""
    key = f"{step} {changes}"
    if key not in _WHOLE:
        folder = folder_for(data.parent, "whole")
        run(arguments(step, data, **changes), folder)
        _WHOLE[key] = content(folder / "out")
    return _WHOLE[key]
