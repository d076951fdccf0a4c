"""A result tells what made it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
import torch

from simclr_steps.files import read_json
from simclr_steps.machine import provenance
from simclr_steps.machine.code_hash import code_hash
from simclr_steps.machine.provenance import Record
from simclr_steps.settings.umap import UmapSettings


def test_record_holds_settings_seed_data_code_and_versions_as_json() -> None:
    record = json.loads(json.dumps(Record("umap", UmapSettings(n_neighbors=7), "da7a", seed=3).finish()))
    assert record["step"] == "umap" and record["settings"] == UmapSettings(n_neighbors=7).model_dump(mode="json")
    assert (record["seed"], record["data_hash"], record["code_hash"]) == (3, "da7a", code_hash("umap"))
    assert torch.__version__.startswith(record["versions"]["torch"])
    assert record["versions"]["python"] == platform.python_version()
    assert record["seconds"] >= 0 and datetime.fromisoformat(record["started"]).tzinfo
    assert record["hardware"]["processor"]


def test_record_tells_the_number_of_threads() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(before + 1)
        assert Record("umap", None, None).finish()["hardware"]["threads"] == before + 1
    finally:
        torch.set_num_threads(before)


def test_record_names_the_gpus_that_were_used_and_asks_no_driver_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    if torch.cuda.is_available():
        torch.cuda.init()
        names = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    else:
        names = []
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)  # as of a driver that is too old
    assert Record("umap", None, None).finish()["hardware"]["gpus"] == names


def test_record_names_the_image_that_a_step_runs_in(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("APPTAINER_CONTAINER", "SINGULARITY_CONTAINER", "SIMCLR_IMAGE", "SIMCLR_IMAGE_SHA256"):
        monkeypatch.delenv(name, raising=False)
    record = Record("umap", None, None)
    assert record.finish()["image"] is None
    monkeypatch.setenv("SINGULARITY_CONTAINER", "/tmp/unpacked")
    assert record.finish()["image"] == {"file": "/tmp/unpacked", "sha256": None}
    monkeypatch.setenv("SIMCLR_IMAGE", "simclr.sif")
    monkeypatch.setenv("SIMCLR_IMAGE_SHA256", "d1935t")
    assert record.finish()["image"] == {"file": "simclr.sif", "sha256": "d1935t"}


def test_recorded_command_makes_the_result_again_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "its originals.json"
    words = ["download", "--settings", '{"source": "digits"}', "--folder", "originals", "--out", out.name]
    command = [sys.executable, "-m", "simclr_steps", *words]
    root = str(Path(provenance.__file__).parents[2])
    subprocess.run(command, check=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": root}, capture_output=True)
    made = read_json(out)

    def make_again(command: str) -> None:
        out.unlink()
        clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        subprocess.run(command, shell=True, check=True, cwd=tmp_path, env=clean, capture_output=True)
        assert read_json(out)["files"] == made["files"]

    make_again(made["run"]["command"])
    monkeypatch.setattr(provenance, "_DISTRIBUTION", "not-installed")  # the command has to say where the package is
    monkeypatch.setattr(sys, "argv", ["__main__.py", *words])
    command_with_place = Record("download", None, None).finish()["command"]
    assert f"PYTHONPATH={root}" in command_with_place
    make_again(command_with_place)
