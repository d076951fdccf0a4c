"""Files of weights: read from this package, torchvision, timm or Lightning."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from simclr_steps.machine.errors import UserError

# Of the tensors: a part with that many is another network, such as an average; a head or a loss is not.
_SHARE_OF_A_NETWORK = 0.5
_NAMED = 4  # tensors in a sentence
_INSIDE = ("state_dict", "model_state_dict", "model", "weights")  # where files keep the tensors, if not at the top


@dataclass(frozen=True)
class Weights:
    """Tensors by their names in a file."""

    tensors: dict[str, Tensor]
    are_ours: bool  # the file is an encoder, a classifier or a checkpoint of this package
    part: str | None = None  # of the file that they are, where others hold as much
    others: tuple[str, ...] = ()  # these, such as state_dict_ema


def check_file(path: Path) -> None:
    """Raise UserError unless a file can be read and has content."""
    try:
        with path.open("rb") as stream:
            is_empty = not stream.read(1)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: give the path of a file of weights") from error
    except IsADirectoryError as error:
        raise UserError(f"{path} is a folder: give the path of the file of weights in it") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): give the path of a file of weights") from error
    if is_empty:
        raise UserError(f"{path} is empty: get the file again")


def read_weights(path: Path) -> Weights:
    """Read a safetensors file, or what torch.save wrote with nothing but tensors and plain values in it.

    Raises
    ------
    UserError
        When the file is absent, empty or damaged, holds code, which is not run, or holds no tensors.
    """
    check_file(path)
    try:
        with path.open("rb") as stream:
            is_safetensors = stream.read(9)[8:] == b"{"
        if is_safetensors:
            with safe_open(path, framework="pt") as stored:
                tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
                return Weights(tensors, "simclr" in (stored.metadata() or {}))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} is damaged or holds more than tensors, such as code, which is not run: save the state_dict "
            "only, best as safetensors"
        ) from error
    except Exception as error:  # a damaged file can make a reader fail in any way
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{path} is damaged or holds no weights ({reason}): get the file again") from error
    if not isinstance(content, Mapping):
        raise UserError(f"{path} holds no tensors by name: save a state_dict")
    return _weights_in(content, path, are_ours="architecture" in content)


def _weights_in(content: Any, path: Path, *, are_ours: bool) -> Weights:
    """Return the tensors by name, at the top or, beside others such as a loss, in a part that is named for them."""
    parts: list[str] = []
    beside: list[tuple[str, Any]] = []
    for _ in _INSIDE:  # no file has all of these names within each other
        part = next((name for name in _INSIDE if isinstance(content.get(name), Mapping)), None)
        if part is None:
            break
        beside += [(".".join([*parts, str(name)]), other) for name, other in content.items() if name != part]
        parts.append(part)
        content = content[part]
    tensors = {str(name): tensor for name, tensor in content.items() if isinstance(tensor, Tensor)}
    if not tensors:
        within = [str(name) for name, part in content.items() if _holds_tensors(part)]
        way_out = (
            f"it has some within {shortened(within)}: save one of these as a file" if within else "save a state_dict"
        )
        raise UserError(f"{path} holds no tensors by name: {way_out}")
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_meta or tensor.is_complex() or tensor.is_quantized:
            raise UserError(f"{path} holds {name} as no plain real numbers: save a state_dict of float32 tensors")
    others = tuple(name for name, other in beside if _holds_tensors(other, _SHARE_OF_A_NETWORK * len(tensors)))
    return Weights(tensors, are_ours, ".".join(parts) if others else None, others)


def _holds_tensors(part: Any, least: float = 1) -> bool:
    return isinstance(part, Mapping) and sum(isinstance(value, Tensor) for value in part.values()) >= least


def shortened(names: Sequence[str]) -> str:
    """Return the first of some names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
