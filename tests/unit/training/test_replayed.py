"""Many small kernels of a GPU, launched as one: the same numbers for each call, and no memory kept for large ones."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from simclr_steps.methods import random_numbers
from simclr_steps.methods.views import random_views
from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.training import replayed
from simclr_steps.training.replayed import Replayed
from tests.unit.methods.test_views import photos


def doubled(x: Tensor) -> Tensor:
    return 2 * x


def test_on_a_cpu_the_function_is_called_as_it_is() -> None:
    function = Replayed(doubled)
    assert function(torch.ones(3)).tolist() == function(torch.ones(3)).tolist() == [2, 2, 2]
    assert function(torch.ones(1)).tolist() == [2]


@pytest.mark.gpu
def test_replayed_views_are_the_plain_ones_for_every_batch() -> None:
    settings, function = Augmentation(preset="photos", rotation_degrees=10), Replayed(random_views)
    images = photos(count=64).cuda()
    for epoch in range(3):
        for count in (64, 48):
            chosen = images.roll(epoch, dims=0)[:count]
            key = random_numbers.keys(0, epoch, torch.arange(count, device="cuda"), 2)
            torch.testing.assert_close(function(chosen, key, settings), random_views(chosen, key, settings))


@pytest.mark.gpu
def test_a_small_result_is_always_in_the_same_place_and_a_large_one_is_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    function, x = Replayed(doubled), torch.ones(1000, device="cuda")
    function(x)
    first = function(x)
    assert function(x + 1).data_ptr() == first.data_ptr()
    assert first.tolist() == [4.0] * 1000
    monkeypatch.setattr(replayed, "LARGEST_RESULT", 999)
    function = Replayed(doubled)
    kept = [function(x + number) for number in range(3)]
    assert [int(one[0]) for one in kept] == [2, 4, 6]
