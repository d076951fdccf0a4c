from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from simclr_steps.data.value_ranges import WaitingValues, found_limits
from simclr_steps.settings.value_ranges import Percentiles

RANDOM = np.random.default_rng(0)


def waiting(tmp_path: Path, values: npt.NDArray[Any], trained_on: npt.NDArray[np.bool_] | None = None) -> WaitingValues:
    """Let images [N, H, W, C] wait, three at a time."""
    parts = [(np.arange(at, min(at + 3, len(values))), values[at : at + 3]) for at in range(0, len(values), 3)]
    path = tmp_path / "values"
    trained_on = np.ones(len(values), dtype=bool) if trained_on is None else trained_on
    with path.open("wb") as file:

        def append(content: memoryview) -> None:
            file.write(content)

        return WaitingValues(parts, append, path, trained_on, values.shape[-1])


VALUES = {
    "whole numbers": RANDOM.integers(0, 65536, (10, 9, 8, 2)),
    "with an offset": RANDOM.normal(32_768, 0.5, (10, 9, 8, 2)),
    "around 0": RANDOM.normal(0, 1, (10, 9, 8, 2)),
    "of any size": RANDOM.normal(0, 1, (10, 9, 8, 2)) * 10 ** RANDOM.uniform(-30, 30, (10, 9, 8, 2)),
    "with both zeros": RANDOM.choice([-0.0, 0.0, -1.0, 1.0], (10, 9, 8, 2)),
    "a few": np.arange(2.0).reshape(1, 1, 1, 2),
}


@pytest.mark.parametrize("kind", VALUES)
def test_percentiles_are_values_that_occur_exactly_where_numpy_finds_them(tmp_path: Path, kind: str) -> None:
    values = VALUES[kind].astype(np.float32)
    wanted: list[list[float]] = [[0, 0.1, 37.5, 99.9, 100], [0, 50, 100]]
    found = waiting(tmp_path, values).percentiles(wanted)
    for channel, percentiles in enumerate(wanted):
        theirs = np.percentile(values[..., channel].astype(np.float64), percentiles, method="lower")
        assert found[channel] == theirs.tolist()


def test_only_images_that_are_trained_on_and_no_margins_decide(tmp_path: Path) -> None:
    values = RANDOM.normal(0, 1, (10, 9, 8, 1)).astype(np.float32)
    trained_on = np.arange(10) % 3 > 0
    values[~trained_on] += 1000
    values[:, :2] = np.nan
    ((least, largest),) = waiting(tmp_path, values, trained_on).percentiles([[0, 100]])
    assert (least, largest) == (values[trained_on, 2:].min(), values[trained_on, 2:].max())


def test_what_waits_is_read_again_as_it_came(tmp_path: Path) -> None:
    values = RANDOM.normal(0, 1, (10, 9, 8, 2)).astype(np.float32)
    rows, read = zip(*waiting(tmp_path, values).read(), strict=True)
    assert np.array_equal(np.concatenate(rows), np.arange(10))
    assert np.array_equal(np.concatenate(read), values)


def test_each_channel_has_the_range_that_it_asks_for(tmp_path: Path) -> None:
    values = RANDOM.integers(0, 4096, (10, 30, 30, 4)).astype(np.float32)
    values[..., 2] = np.where(RANDOM.random((10, 30, 30)) < 0.0005, 900, 7)  # 99.9 % of which are 7
    values[..., 3] = 5
    first = Percentiles(percentiles=(10, 90))
    limits = found_limits([first, (0, 10), "auto", "auto"], "uint16", waiting(tmp_path, values))
    assert limits[0] == tuple(np.percentile(values[..., 0], [10, 90], method="lower"))
    assert limits[1:] == [(0, 10), (7, 900), (5, 10)]
