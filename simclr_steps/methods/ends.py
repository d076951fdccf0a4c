"""The end of a pretraining, from which another goes on: the encoder with its head, and the state of the optimizer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor
from torch.optim import Optimizer

from simclr_steps.files import checksum, read_json, require_intact, whole_file
from simclr_steps.machine.errors import UserError
from simclr_steps.methods.candidate_files import read_candidate
from simclr_steps.networks.architecture import resolve
from simclr_steps.networks.encoders import Encoder
from simclr_steps.settings.image_format import ImageFormat
from simclr_steps.settings.pretrain import PretrainSettings

OPTIMIZER = "optimizer.safetensors"
_LAST = "last.ckpt"
_OF_SOURCES = ("weights_path", "weights_mirrors", "weights_sha256")  # which decide no training


@dataclass(frozen=True)
class End:
    """What a pretraining left behind, on the CPU."""

    encoder: Encoder
    optimizer: dict[str, Tensor]  # by the names of the parameter and of its state: backbone.0.weight.exp_avg
    checksums: list[str]  # of the files of both


def write_optimizer(path: Path, encoder: Encoder, optimizer: Optimizer) -> None:
    """Write the state that an optimizer has of an encoder's parameters, as safetensors.

    Raises
    ------
    UserError
        When the disk is full.
    """
    state = {
        f"{name}.{key}": value.detach().cpu().contiguous()
        for name, parameter in encoder.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }
    with whole_file(path) as partial:
        partial.write_bytes(save(state))


def put_into(optimizer: Optimizer, encoder: Encoder, state: Mapping[str, Tensor]) -> None:
    """Give an optimizer the state that another had; its learning rates and other settings remain its own."""
    of_parameters: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for name, value in state.items():
        parameter, _, key = name.rpartition(".")
        of_parameters[parameter][key] = value
    names = {id(parameter): name for name, parameter in encoder.named_parameters()}
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    numbered = {
        number: {key: _laid_out_as(parameter, value) for key, value in of_parameters[names[id(parameter)]].items()}
        for number, parameter in enumerate(parameters)
        if names[id(parameter)] in of_parameters
    }
    optimizer.load_state_dict({"state": numbered, "param_groups": optimizer.state_dict()["param_groups"]})


def _laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    """Return a value in the memory format of its parameter, which fused optimizers take for granted."""
    return torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value


def read_end(
    folder: Path | None, settings: PretrainSettings, image_format: ImageFormat, pixel_hash: str, seed: int
) -> End | None:
    """Return the end of the pretraining that `settings` continue, None where they continue none.

    Raises
    ------
    UserError
        When the folder is not of that pretraining on these images from this seed, or a file in it is damaged.
    """
    if folder is None or settings.parent is None:
        if folder or settings.parent:
            raise UserError("continue: name the pretraining to continue by both --parent and `parent` in the settings")
        return None
    _check_record(folder, settings.parent, pixel_hash, seed)
    path = folder / OPTIMIZER
    require_intact(path, "pretrain")
    try:
        state = load_file(path)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: run pretrain again, which writes it") from error
    except SafetensorError as error:
        raise UserError(f"{path} is damaged ({error}): delete its folder and run pretrain again") from error
    encoder = read_candidate(folder / _LAST)[1]
    _check_architecture(folder, encoder, settings, image_format)
    return End(encoder, state, [checksum(folder / _LAST), checksum(path)])


def _check_record(folder: Path, parent: PretrainSettings, pixel_hash: str, seed: int) -> None:
    require_intact(folder / "run.json", "pretrain")
    record = read_json(folder / "run.json")
    if record.get("data_hash") != pixel_hash:
        raise UserError(f"{folder} is a pretraining on other images: continue it on those, or train it on these first")
    if record.get("seed") != seed:
        raise UserError(f"{folder} is a pretraining from seed {record.get('seed')}: continue it with that seed")
    expected, made_with = parent.model_dump(mode="json", exclude={*_OF_SOURCES}), record.get("settings") or {}
    other = [key for key, value in expected.items() if key not in made_with or made_with[key] != value]
    if other:
        raise UserError(f"{folder} was trained with another value of {other[0]} than `parent` in the settings: fix it")


def _check_architecture(folder: Path, encoder: Encoder, settings: PretrainSettings, image_format: ImageFormat) -> None:
    """Raise UserError unless an encoder is the one that settings ask for."""
    found = encoder.architecture
    expected = resolve(settings, image_format, found.started_from)
    for key in type(found).model_fields:
        if getattr(found, key) != getattr(expected, key):
            raise UserError(
                f"{key}: {folder} ends with {getattr(found, key)}, but the settings ask for {getattr(expected, key)}: "
                "a training that continues another keeps its encoder and head"
            )
