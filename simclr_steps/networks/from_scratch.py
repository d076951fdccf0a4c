"""Random weights that are random: those that a user's own encoder brings along are drawn anew."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.networks.architecture import Architecture
from simclr_steps.networks.backbones import build_backbone
from simclr_steps.networks.user_code import is_own


def draw_brought_weights(backbone: nn.Module, architecture: Architecture) -> None:
    """Draw anew, from torch's random state, what the function of a user's own encoder gives its network but chance.

    That is what it gives to a second network, too, which is built from another seed.

    Raises
    ------
    UserError
        When a module has such weights and no reset_parameters that draws others.
    """
    if not is_own(architecture.encoder):
        return
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(torch.initial_seed() + 1)  # and not those of GPUs, which nothing restores
        second = dict(build_backbone(architecture)[0].named_parameters())
    own = dict(backbone.named_parameters())
    brought = [name for name, weights in own.items() if _is_brought(weights, second.get(name))]
    owners = {name: backbone.get_submodule(name.rpartition(".")[0]) for name in brought}
    for module in dict.fromkeys(owners.values()):
        if callable(reset := getattr(module, "reset_parameters", None)):
            reset()
    for name, module in owners.items():
        if torch.equal(own[name], second[name]):
            raise UserError(
                f"encoder: {architecture.encoder} brings weights (first in {name}), so training would not start from "
                f"scratch: let it return a network with random weights, give {type(module).__name__} a "
                "reset_parameters that draws them, register what never changes as buffers, or name the file of the "
                "weights by init"
            )
    if brought:
        log.info(
            "%s brings weights, which were drawn anew: to start from them, name their file by init",
            architecture.encoder,
        )


def _is_brought(weights: Tensor, other: Tensor | None) -> bool:
    """Return whether weights are equal in two networks, and are more than a norm's ones or the zeros and ones of eye_.

    Such values are how an initialization begins; trained weights have more than two of them.
    """
    return other is not None and torch.equal(weights, other) and len(weights.detach().unique()) > 2
