from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from simclr_steps.data.packed import read_split
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.options import Hardware
from simclr_steps.networks.encoders import load_network
from simclr_steps.networks.features import compute_features
from simclr_steps.steps.gather import gather
from simclr_steps.steps.predict import predict
from tests.unit.conftest import Images, Labels, WriteEncoder, WritePacked, digits
from tests.unit.digit_names import DIGITS
from tests.unit.step_processes import link_own_encoders, said, start_all

CPU = Hardware(gpus=0)
ROOT = Path(__file__).parents[3]


def test_every_row_is_predicted_once_with_a_last_batch_of_one(
    write_packed: WritePacked, write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    data, model, out = write_packed({"test": digits(1025)}), write_encoder(), tmp_path / "parts"
    predict(model, data=data, split="test", out=out, hardware=CPU)
    names = ("features", "projections", "rows")
    assert sorted(path.name for path in out.iterdir()) == [*(f"part-0.{name}.npy" for name in names), "parts.json"]
    part = {name: np.load(out / f"part-0.{name}.npy") for name in names}
    assert part["rows"].dtype == np.int64
    np.testing.assert_array_equal(part["rows"], np.arange(1025))
    expected = compute_features(load_network(model), read_split(data, "test").images, torch.device("cpu"))
    for name, values in zip(names, expected, strict=False):
        assert part[name].dtype == np.float32
        np.testing.assert_allclose(part[name], values, rtol=1e-4, atol=1e-5)
    facts = json.loads((out / "parts.json").read_text())
    assert (facts["kind"], facts["processes"], facts["split"]) == ("encoder", 1, "test")
    assert facts["run"]["data_hash"] == "pixels-of-data"


@pytest.mark.slow
def test_two_processes_predict_every_row_exactly_once_and_as_one_does_and_one_speaks(
    write_packed: WritePacked, write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    data, model = write_packed({"test": twice(2049)}), write_encoder(classes=DIGITS)  # of one a last batch of one row
    command = [sys.executable, "-m", "simclr_steps", *arguments(data, model, tmp_path / "parts"), "--processes", "2"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert_one_speaks(done.stderr)
    assert_gathered_as_one(tmp_path, data, model, processes=2)


def test_three_processes_share_a_few_rows(
    write_packed: WritePacked, write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    data, model = write_packed({"test": twice(7)}), write_encoder(classes=DIGITS)
    link_own_encoders(tmp_path)
    processes = start_all(3, arguments(data, model, tmp_path / "parts"), tmp_path)
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0], said(tmp_path)
    assert_one_speaks(said(tmp_path))
    assert_gathered_as_one(tmp_path, data, model, processes=3)


def twice(count: int) -> tuple[Images, Labels]:
    """Return digits, of which there are fewer than some tests ask for."""
    images, labels = (np.concatenate([part, part])[:count] for part in digits(1797))
    return images, labels


def arguments(data: Path, model: Path, out: Path) -> list[str]:
    places = {"--model": model, "--data": data, "--out": out}
    return ["predict", *(str(word) for pair in places.items() for word in pair), "--split", "test", "--gpus", "0"]


def assert_one_speaks(text: str) -> None:
    """Assert that one process of several speaks, and that Lightning advertises nothing."""
    # At the start of a command, and every 5 s on a slow machine.
    progress = re.compile(r"predict: starting$|predicted \d+ of \d+ images, [\d.,]+ images/s, .* left$")
    assert (
        text.count("starting") <= 1 and len([line for line in text.splitlines() if not progress.search(line)]) == 1
    ), text


def assert_gathered_as_one(folder: Path, data: Path, model: Path, processes: int) -> None:
    """Assert that the parts below a folder hold each row once, and what one process computes."""
    split = read_split(data, "test")
    rows = [np.load(folder / f"parts/part-{rank}.rows.npy") for rank in range(processes)]
    assert all(len(part) for part in rows)
    np.testing.assert_array_equal(np.sort(np.concatenate(rows)), np.arange(len(split)))
    assert [path.name for path in folder.iterdir() if "partial" in path.name] == []
    gather(folder / "parts", data=data, split="test", out=folder / "gathered")
    found = pd.read_parquet(folder / "gathered" / "predictions.parquet")
    logits = torch.from_numpy(compute_features(load_network(model), split.images, torch.device("cpu"))[1])
    probabilities = found[[f"probability_{name}" for name in DIGITS]].to_numpy()
    np.testing.assert_allclose(probabilities, logits.softmax(dim=1), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found["label"], split.labels)


HELD: list[int] = []  # the private memory at each batch, in bytes


class _Wide(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        (held,) = re.findall(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
        HELD.append(1024 * int(held))
        return x.flatten(1).repeat(1, 32)


def wide(channels: int, image_size: tuple[int, int]) -> nn.Module:
    """Return a network that notes the memory in use; 2,048 features."""
    return _Wide()


def test_memory_does_not_grow_with_the_outputs(
    write_packed: WritePacked, write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    images = np.repeat(digits(1024)[0], 10, axis=0)
    data = write_packed({"test": (images, np.zeros(len(images), np.int64))})
    model = write_encoder(encoder=f"{__name__}:{wide.__name__}")
    HELD.clear()
    predict(model, data=data, split="test", out=tmp_path / "parts", hardware=CPU)
    assert HELD[-1] - HELD[3] < 20e6  # of 59 MB of features


def test_a_full_disk_is_named_and_leaves_nothing_of_the_part(
    write_packed: WritePacked, write_encoder: WriteEncoder, small_disk: Path
) -> None:
    data = write_packed({"test": digits(1797)})
    filler = small_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - 150_000))  # enough for the first batch of two
    with pytest.raises(
        UserError, match=rf"^the disk is full while writing {small_disk}/parts/part-0\..*npy: free some"
    ):
        predict(write_encoder(), data=data, split="test", out=small_disk / "parts", hardware=CPU)
    assert [path.name for path in small_disk.iterdir()] == ["filler"]


def test_an_empty_split_makes_an_empty_part(
    write_packed: WritePacked, write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    data = write_packed({"train": digits(9), "validation": digits(0)})
    for _ in range(2):  # the second replaces the first
        predict(write_encoder(), data=data, split="validation", out=tmp_path / "parts", hardware=CPU)
    assert np.load(tmp_path / "parts" / "part-0.features.npy").shape == (0, 16)


def test_a_folder_of_the_users_is_not_replaced(
    write_packed: WritePacked, write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match=r"precious holds thesis.tex, which is not from this step"):
        predict(write_encoder(), data=write_packed(), split="test", out=precious, hardware=CPU)
    assert [file.name for file in precious.iterdir()] == ["thesis.tex"]


def test_data_of_other_channels_are_refused_before_anything_is_written(
    write_packed: WritePacked, write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="channels"):
        predict(write_encoder(channels=3), data=write_packed(), split="test", out=tmp_path / "parts", hardware=CPU)
    assert not (tmp_path / "parts").exists()
