"""Every combination of the values of an experiment's `grid`, each a pretraining of its own."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

from simclr_steps.machine.errors import UserError
from simclr_steps.settings.config import Config
from simclr_steps.settings.pretrain import PretrainBlock


def written(block: PretrainBlock) -> dict[str, Any]:
    """Return the keys of a block that the user wrote."""
    return block.model_dump(mode="json", exclude_unset=True, by_alias=True)


def combinations(config: Config, number: int) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield the name of each combination of an experiment's grid, its values, and its block as if it were written so.

    Raises
    ------
    UserError
        When a key has no values.
    """
    experiment = config.experiments[number]
    base = written(config.pretrains[experiment.pretrain])
    for key, values in experiment.grid.items():
        if not values:
            raise UserError(f"experiments.{number}.grid.{key}: the list is empty: add values or omit the key")
    keys = sorted(experiment.grid)  # whatever the order they are written in, a combination has one name
    for combination in itertools.product(*(experiment.grid[key] for key in keys)):
        content = json.loads(json.dumps(base))
        name = experiment.pretrain
        for key, value in zip(keys, combination, strict=True):
            _put(content, key.split("."), value)
            name += f"-{key}={_slug(value)}"
        yield name, dict(zip(keys, combination, strict=True)), content


def _put(content: dict[str, Any], path: list[str], value: Any) -> None:
    """Set a value below nested keys; a key that does not exist is left for the check to find."""
    for key in path[:-1]:
        inner = content.get(key)
        content[key] = content = inner if isinstance(inner, dict) else {}
    content[path[-1]] = value


def _slug(value: Any) -> str:
    """Return a value as part of a folder's name: only letters, digits, dots, underscores and minus signs."""
    text = "_".join(map(_slug, value)) if isinstance(value, list) else str(value)
    return "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in text)
