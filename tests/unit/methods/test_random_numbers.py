"""The random numbers are SplitMix64's, uniform and unrelated."""

from __future__ import annotations

import torch
from scipy import stats

from simclr_steps.methods import random_numbers

WORD = 2**64


def splitmix64(state: int) -> int:
    """Return one output of SplitMix64, written with Python's unbounded integers."""
    state = (state + 0x9E3779B97F4A7C15) % WORD
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % WORD
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB % WORD
    return state ^ (state >> 31)


def test_keys_are_splitmix64_of_seed_epoch_image_and_view() -> None:
    keys = random_numbers.keys(11, 3, torch.tensor([0, 4, 2**40]), 2)
    for column, image in enumerate([0, 4, 2**40]):
        for view in range(2):
            expected = splitmix64((splitmix64((splitmix64((splitmix64(11) + 3) % WORD) + image) % WORD) + view) % WORD)
            assert keys[view, column].item() % WORD == expected


def test_numbers_are_the_high_bits_of_splitmix64_counted_on_from_the_key() -> None:
    keys = [0, 1, -(2**63), 2**63 - 1, -1018231460777725123]
    numbers = random_numbers.uniform(torch.tensor(keys), 40)
    for row, key in enumerate(keys):
        for column in range(40):
            counter = (key + (column + 1) * 0x9E3779B97F4A7C15) % WORD
            assert numbers[row, column] == (splitmix64(counter) >> 40) / 2**24


def test_numbers_are_uniform_and_uncorrelated() -> None:
    numbers = random_numbers.uniform(random_numbers.keys(0, 0, torch.arange(20_000), 2), 4).reshape(-1, 4)
    assert numbers.min() >= 0 and numbers.max() < 1
    counts = torch.histc(numbers, bins=20, min=0, max=1)
    expected = numbers.numel() / 20
    assert ((counts - expected) ** 2 / expected).sum() < 43.8  # chi-square of 19 degrees of freedom at 0.001
    assert (torch.corrcoef(numbers.T) - torch.eye(4)).abs().max() < 0.02
    neighbors = torch.corrcoef(torch.stack([numbers[:-1, 0], numbers[1:, 0]]))
    assert neighbors[0, 1].abs() < 0.02


def test_normal_numbers_are_normal_and_uncorrelated_with_those_of_the_same_key() -> None:
    keys = random_numbers.keys(0, 0, torch.arange(20_000), 2).flatten()
    numbers = random_numbers.normal(keys, 5)
    assert stats.kstest(numbers.flatten().numpy(), "norm").pvalue > 0.001
    others = random_numbers.normal(random_numbers.derived(keys, 1), 2), random_numbers.uniform(keys, 3)
    together = torch.cat([numbers, *others], dim=1)
    assert (torch.corrcoef(together.T) - torch.eye(10)).abs().max() < 0.02


def test_derived_keys_are_splitmix64_of_the_key_and_the_purpose() -> None:
    key = random_numbers.derived(torch.tensor([77]), 2)
    assert key.item() % WORD == splitmix64((splitmix64(77) + 2) % WORD)
