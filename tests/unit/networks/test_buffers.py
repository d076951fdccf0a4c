"""A pass that is not to count leaves the running statistics as they were."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from simclr_steps.networks.buffers import on_copies_of_buffers
from tests.own_encoders import centered, with_batch_norm


@pytest.mark.parametrize("build", [with_batch_norm, centered])  # changed in place, and by assignment
@pytest.mark.parametrize("fails", [True, False])
def test_statistics_stay_as_they_were(build: Callable[[int, int], nn.Module], fails: bool) -> None:
    network, images = build(3, 8), torch.rand(4, 3, 8, 8)
    before = {name: (buffer, buffer.clone()) for name, buffer in network.named_buffers()}
    try:
        with on_copies_of_buffers(network):
            network(images)
            changed = [not torch.equal(buffer, before[name][1]) for name, buffer in network.named_buffers()]
            if fails:
                raise ArithmeticError
    except ArithmeticError:
        assert fails
    assert changed and all(changed), "the pass itself sees its own statistics"
    for name, buffer in network.named_buffers():
        assert buffer is before[name][0] and torch.equal(buffer, before[name][1])
