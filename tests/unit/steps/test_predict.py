from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from simclr_steps.data.packed import read_split
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.options import Hardware
from simclr_steps.networks.encoders import load_network
from simclr_steps.networks.features import compute_features
from simclr_steps.steps.gather import gather
from simclr_steps.steps.predict import predict
from tests.unit.conftest import DIGITS, WriteEncoder, WritePacked, digits

CPU = Hardware(gpus=0)
ROOT = Path(__file__).parents[3]


def test_every_row_is_predicted_once_with_a_last_batch_of_one(
    write_packed: WritePacked, write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    data, model, out = write_packed({"test": digits(1025)}), write_encoder(), tmp_path / "parts"
    predict(model, data=data, split="test", out=out, hardware=CPU)
    assert sorted(path.name for path in out.iterdir()) == ["part-0.npz", "parts.json"]
    with np.load(out / "part-0.npz") as part:
        assert part["rows"].dtype == np.int64
        np.testing.assert_array_equal(part["rows"], np.arange(1025))
        expected = compute_features(load_network(model), read_split(data, "test").images, torch.device("cpu"))
        for name, values in zip(("features", "projections"), expected, strict=True):
            assert part[name].dtype == np.float32
            np.testing.assert_allclose(part[name], values, rtol=1e-4, atol=1e-5)
    facts = json.loads((out / "parts.json").read_text())
    assert (facts["kind"], facts["processes"], facts["split"]) == ("encoder", 1, "test")
    assert facts["run"]["data_hash"] == "pixels-of-data"


@pytest.mark.parametrize(
    ("processes", "count"), [(2, 2049), (3, 7)]
)  # of the 2,049 one process has a last batch of one
def test_several_processes_predict_every_row_exactly_once_and_as_one_does(
    write_packed: WritePacked, write_encoder: WriteEncoder, tmp_path: Path, processes: int, count: int
) -> None:
    images, labels = (np.concatenate([part, part])[:count] for part in digits(1797))
    data, model, out = write_packed({"test": (images, labels)}), write_encoder(classes=DIGITS), tmp_path / "parts"
    options = ["--model", model, "--data", data, "--split", "test", "--out", out, "--gpus", "0"]
    command = [sys.executable, "-m", "simclr_steps", "predict", *map(str, options), "--processes", str(processes)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    rows = [np.load(out / f"part-{rank}.npz")["rows"] for rank in range(processes)]
    assert all(len(part) for part in rows)
    np.testing.assert_array_equal(np.sort(np.concatenate(rows)), np.arange(count))
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []
    progress = re.compile(r"predicted \d+ of \d+ images, \d+ images/s, .* left$")  # every 5 s, on a slow machine
    said = [line for line in done.stderr.splitlines() if not progress.search(line)]
    assert len(said) == 1, done.stderr  # one process speaks, and Lightning advertises nothing
    gather(out, data=data, split="test", out=tmp_path / "gathered")
    found = pd.read_parquet(tmp_path / "gathered" / "predictions.parquet")
    logits = torch.from_numpy(compute_features(load_network(model), images, torch.device("cpu"))[1])
    probabilities = found[[f"probability_{name}" for name in DIGITS]].to_numpy()
    np.testing.assert_allclose(probabilities, logits.softmax(dim=1), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found["label"], labels)


def test_an_empty_split_makes_an_empty_part(
    write_packed: WritePacked, write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    data = write_packed({"train": digits(9), "validation": digits(0)})
    predict(write_encoder(), data=data, split="validation", out=tmp_path / "parts", hardware=CPU)
    with np.load(tmp_path / "parts" / "part-0.npz") as part:
        assert part["features"].shape == (0, 16)


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
