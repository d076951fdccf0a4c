"""Batches are tied to seed and step, not to processes or to when training started."""

from __future__ import annotations

import numpy as np
import pytest

from simclr_steps.training.batches import GlobalBatches, batches_of_all


def batches(images: int = 50, batch: int = 8, step: int = 0, **options: int | bool) -> list[list[int]]:
    return [part.tolist() for part in GlobalBatches(images, batch, 3, lambda: step, **options)]  # type: ignore[arg-type]


def test_an_epoch_has_each_image_at_most_once_and_full_batches_alone() -> None:
    epoch = batches()
    drawn = [image for batch in epoch for image in batch]
    assert [len(batch) for batch in epoch] == [8] * 6
    assert len(set(drawn)) == 48 and set(drawn) <= set(range(50))


def test_epochs_differ_and_seeds_differ() -> None:
    first, second = batches(step=0), batches(step=6)
    other = [part.tolist() for part in GlobalBatches(50, 8, 4, lambda: 0)]
    assert first != second and first != other


def test_resuming_goes_on_in_the_middle_of_the_epoch() -> None:
    assert batches(step=4) == batches(step=0)[4:]
    assert batches(step=10) == batches(step=6)[4:]


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_share_each_global_batch(processes: int) -> None:
    shares = [batches(rank=rank, processes=processes) for rank in range(processes)]
    for whole, *parts in zip(batches(), *shares, strict=True):
        assert sorted(image for part in parts for image in part) == sorted(whole)
        assert {len(part) for part in parts} == {8 // processes}


def test_using_all_images_leaves_none_out_and_none_alone() -> None:
    for images in range(2, 40):
        for batch in range(2, 12):
            epoch = batches(images, batch, use_all=True)
            assert sorted(image for part in epoch for image in part) == list(range(images))
            assert min(map(len, epoch)) > 1 and max(map(len, epoch)) <= batch + 1
            assert len(epoch) == batches_of_all(images, batch)


def test_indices_can_be_given() -> None:
    rows = np.array([3, 30, 300, 3000])
    epoch = [part.tolist() for part in GlobalBatches(rows, 2, 0, lambda: 0, use_all=True)]
    assert sorted(image for part in epoch for image in part) == rows.tolist()
