"""Files of weights: read from this package, torchvision, timm or Lightning."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
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

_Place = tuple[Any, ...]  # names within each other


@dataclass(frozen=True)
class Weights:
    """Tensors by their names in a file."""

    tensors: dict[str, Tensor]
    are_ours: bool  # the file is an encoder, a classifier or a checkpoint of this package
    part: str | None = None  # of the file that they are, where others hold as much, or in no usual place
    others: tuple[str, ...] = ()  # these, such as state_dict_ema.module


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


def _weights_in(content: Mapping[Any, Any], path: Path, *, are_ours: bool) -> Weights:
    """Return the tensors by name: those in the usual place, or of the only network there, however deep."""
    usual = _usual_place(content)
    if not (found := _parts_with_tensors(_at(usual, content))):  # it holds something else, such as the options
        usual, found = (), _parts_with_tensors(content)
    most = max((len(_tensors(part)) for _, part in found), default=0)
    networks = {inside: part for inside, part in found if _is_a_network(part, most)}
    if () not in networks and len(networks) != 1:
        way_out = "save a state_dict"
        if networks:
            named = shortened([_shown((*usual, *inside)) for inside in networks])
            way_out = f"it has some within {named}: save one of these as a file"
        raise UserError(f"{path} holds no tensors by name: {way_out}")
    inside = () if () in networks else next(iter(networks))
    place, part = (*usual, *inside), networks[inside]
    tensors = _tensors(part)
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_meta or tensor.is_complex() or tensor.is_quantized:
            raise UserError(f"{path} holds {name} as no plain real numbers: save a state_dict of float32 tensors")
    others = tuple(
        _shown(other)
        for other, one in _parts_with_tensors(content)
        if one is not part and _is_a_network(one, len(tensors))
    )
    return Weights(tensors, are_ours, _shown(place) if others or place != usual else None, others)


def _usual_place(content: Mapping[Any, Any]) -> _Place:
    """Return the place of the part that is named for the tensors, beside others such as a loss; else the top."""
    place: _Place = ()
    for _ in _INSIDE:  # no file has all of these names within each other
        part = _at(place, content)
        place += next(((name,) for name in _INSIDE if isinstance(part.get(name), Mapping)), ())
    return place


def _at(place: _Place, content: Mapping[Any, Any]) -> Mapping[Any, Any]:
    return reduce(lambda part, name: part[name], place, content)


def _parts_with_tensors(content: Mapping[Any, Any]) -> list[tuple[_Place, Mapping[Any, Any]]]:
    """Return the parts that hold tensors by name, at any depth and each once, also where it is within itself.

    What stands below a number is an optimizer's: it numbers the parameters.
    """
    places: list[tuple[_Place, Mapping[Any, Any]]] = [((), content)]
    known = {id(content)}
    for place, part in places:  # which grows
        for name, one in part.items():
            if isinstance(name, str) and isinstance(one, Mapping) and id(one) not in known:
                known.add(id(one))
                places.append(((*place, name), one))
    return [(place, part) for place, part in places if _tensors(part)]


def _tensors(part: Mapping[Any, Any]) -> dict[str, Tensor]:
    return {str(name): tensor for name, tensor in part.items() if isinstance(tensor, Tensor)}


def _is_a_network(part: Mapping[Any, Any], tensors: int) -> bool:
    """Return whether a part may be a network beside one with this number of tensors."""
    return len(_tensors(part)) >= _SHARE_OF_A_NETWORK * tensors


def _shown(place: _Place) -> str:
    return ".".join(map(str, place)) or "the top"


def shortened(names: Sequence[str]) -> str:
    """Return the first of some names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
