"""What processes write as parts comes out in the order of the rows, and a part that is wrong is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simclr_steps.data import parts as module
from simclr_steps.data.parts import PATTERNS, Part, Parts
from simclr_steps.machine.errors import UserError
from simclr_steps.steps.gather import gather
from tests.unit.conftest import WritePacked, digits
from tests.unit.steps.test_gather import write_parts


@pytest.fixture
def data(write_packed: WritePacked) -> Path:
    return write_packed({"test": digits(7)})


def write(folder: Path, *of_processes: list[list[int]]) -> None:
    """Write the rows of each process in batches, with outputs that tell them."""
    for process, batches in enumerate(of_processes):
        with Part(folder, folder, process, sum(map(len, batches))) as part:
            for batch in batches:
                rows = np.array(batch, dtype=np.int64)
                part.add({"rows": rows, "features": np.stack([rows, -rows], axis=1).astype(np.float32)})
            part.sync()


@pytest.mark.parametrize("at_a_time", [2, 4096])
def test_what_is_added_in_batches_is_read_in_the_order_of_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_a_time: int
) -> None:
    monkeypatch.setattr(module, "ROWS_AT_A_TIME", at_a_time)
    write(tmp_path, [[5, 0], [6]], [[3, 1]], [[4, 2]])
    assert {file.name for pattern in PATTERNS for file in tmp_path.glob(pattern)} == {
        f"part-{process}.{name}.npy" for process in range(3) for name in ("rows", "features")
    }
    parts = Parts(tmp_path, 3, ["features"], 7)
    assert parts.shape("features") == (7, 2)
    read = list(parts.read("features"))
    assert max(map(len, read)) == min(at_a_time, 7)
    whole = np.concatenate(read)
    assert whole.dtype == np.float32
    assert np.array_equal(whole, np.stack([np.arange(7), -np.arange(7)], axis=1))


def test_of_no_rows_there_is_one_array_of_none(tmp_path: Path) -> None:
    write(tmp_path, [[]])
    parts = Parts(tmp_path, 1, ["features"], 0)
    assert [values.shape for values in parts.read("features")] == [parts.shape("features")] == [(0, 2)]


def test_of_many_wrong_rows_five_are_named(tmp_path: Path) -> None:
    write(tmp_path, [[0]])
    with pytest.raises(UserError, match="is missing rows: 1, 2, 3, 4, 5 and 2 more: run predict again"):
        Parts(tmp_path, 1, ["features"], 8)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([[0, 1, 2], [4, 5, 6]], "is missing rows: 3"),
        ([[0, 1, 2, 3], [3, 4, 5, 6]], "more than once: 3"),
        ([[0, 1, 2, 3], [4, 5, 6, 7]], "not in the split: 7"),
        ([[-1, 0, 1, 2, 3], [4, 5, 6]], "not in the split: -1"),
    ],
)
def test_wrong_rows_are_named(rows: list[list[int]], says: str, data: Path, tmp_path: Path) -> None:
    parts = write_parts(tmp_path / "parts", rows)
    with pytest.raises(UserError, match=f"{says}: run predict again"):
        gather(parts, data=data, split="test", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["rows", "features", "projections"])
def test_a_missing_and_a_truncated_part_are_named(name: str, data: Path, tmp_path: Path) -> None:
    parts = write_parts(tmp_path / "parts", [[0, 1, 2], [3, 4, 5, 6]])
    part = parts / f"part-1.{name}.npy"
    whole = part.read_bytes()
    part.write_bytes(whole[:-1])
    with pytest.raises(UserError, match=rf"part-1\.{name}\.npy is damaged"):
        gather(parts, data=data, split="test", out=tmp_path / "out")
    part.unlink()
    with pytest.raises(UserError, match=rf"part-1\.{name}\.npy is missing"):
        gather(parts, data=data, split="test", out=tmp_path / "out")


def test_a_part_with_fewer_features_than_rows_is_named(data: Path, tmp_path: Path) -> None:
    parts = write_parts(tmp_path / "parts", [[0, 1, 2], [3, 4, 5, 6]])
    np.save(parts / "part-1.features.npy", np.zeros((3, 2), dtype=np.float32))
    with pytest.raises(UserError, match=r"part-1\.features\.npy is damaged \(it has not as many rows as its part\)"):
        gather(parts, data=data, split="test", out=tmp_path / "out")
