"""A result tells what made it."""

from __future__ import annotations

import json
import platform
from datetime import datetime

import pytest
import torch

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
