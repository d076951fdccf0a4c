"""Pretrainings that go on from the end of another: what they take from it, and what they cannot change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simclr_steps.machine.errors import UserError
from simclr_steps.settings.base import did_you_mean
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.settings.reading import check

_OF_THE_END = (  # keys that describe what the parent left, or what that was made of
    *("encoder", "init", "weights_path", "weights_mirrors", "weights_sha256"),
    *("stem", "view_size", "projection_head", "optimizer"),
)
_OF_A_NEW_HEAD = "freeze_epochs"  # the head of a continued pretraining is trained

Written = Mapping[str, dict[str, Any]]  # the keys that were written of each pretraining, by its name


def resolved(name: str, content: dict[str, Any], written: Written, where: str) -> PretrainSettings:
    """Return the settings of a pretraining of which `content` was written, with those of all that it continues.

    `where` names the block in messages.

    Raises
    ------
    UserError
        When it continues itself, also by way of others, or one that does not exist; or when it changes what it must
        take from the one that it continues.
    """
    return _resolved(content, written, where, (name,))


def _resolved(content: dict[str, Any], written: Written, where: str, path: tuple[str, ...]) -> PretrainSettings:
    """Return the settings; `path` leads from the first child to this pretraining, by their names."""
    name = content.get("continue")
    own = {key: value for key, value in content.items() if key != "continue"}
    if name is None:
        alone: PretrainSettings = check(PretrainSettings, own, where)
        return alone
    if name in path:
        circle = " which continues ".join(f'"{one}"' for one in [*path[path.index(name) :], name])
        raise UserError(f"{where}.continue: {circle}: name a pretraining that does not lead back to itself")
    if name not in written:
        raise UserError(f'{where}.continue: there is no pretraining "{name}"; {did_you_mean(str(name), written)}')
    parent = _resolved(written[name], written, f"pretrains.{name}", (*path, name))
    taken = parent.model_dump(mode="json", exclude_unset=True)
    inherited = {key: value for key, value in taken.items() if key not in (_OF_A_NEW_HEAD, "parent")}
    settings: PretrainSettings = check(PretrainSettings, {**_merged(inherited, own), "parent": taken}, where)
    for key in _OF_THE_END:
        if getattr(settings, key) != getattr(parent, key):
            raise UserError(f'{where}.{key}: must be that of "{name}", from whose end the training goes on: omit it')
    return settings


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of both, in blocks within blocks as well; where both have one, its value above."""
    both = {
        key: _merged(below[key], value)
        for key, value in above.items()
        if isinstance(value, dict) and isinstance(below.get(key), dict)
    }
    return {**below, **above, **both}
