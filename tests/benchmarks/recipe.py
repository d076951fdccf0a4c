"""The recipe whose blocks are measured."""

from __future__ import annotations

from pathlib import Path

import yaml

from simclr_steps.machine.errors import UserError
from simclr_steps.settings.config import Config, read_config
from simclr_steps.settings.pretrain import FittedPretrain
from tests.benchmarks.data import REPOSITORY

RECIPE = REPOSITORY / "config/recipes/cifar10.yaml"


def read_recipe(file: Path) -> Config:
    """Return the config that the data set, the pretraining and the fine-tunings are of.

    Raises UserError when there is no such file.
    """
    if not file.exists():
        raise UserError(f"--recipe {file} does not exist")
    return read_config(yaml.safe_load(file.read_text(encoding="utf-8")))


def read_pretrain(file: Path, name: str) -> FittedPretrain:
    """Return one block of a recipe's pretrainings.

    Raises UserError when there is none of this name.
    """
    pretrains = read_recipe(file).pretrains
    if name not in pretrains:
        raise UserError(f"--pretrain {name}: {file} has no such block")
    return FittedPretrain.model_validate({key: value for key, value in pretrains[name] if key != "continues"})
