"""What the benchmark chooses by what it finds: images, epochs, and whether to compile."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from simclr_steps.machine.errors import UserError
from tests.benchmarks.accuracy import epochs_that_fit
from tests.benchmarks.images import pack_batches
from tests.benchmarks.speed import missing_to_compile


def test_a_batch_that_is_not_the_original_is_refused(tmp_path: Path) -> None:
    batch = tmp_path / "cifar-10-batches-py/data_batch_1"
    batch.parent.mkdir()
    batch.write_bytes(b"cos\nsystem\n(S'touch /tmp/unpickled'\ntR.")
    with pytest.raises(UserError, match="data_batch_1 is missing or has changed"):
        pack_batches(tmp_path, ["data_batch_1"], tmp_path / "packed")


def test_as_many_epochs_fit_as_leave_a_minute_and_a_tenth() -> None:
    measured = {"images_per_epoch": 1_000, "images_per_second": {"end to end, plain": 500.0}}
    assert epochs_that_fit(measured, seconds=160) == 45
    assert epochs_that_fit(measured, seconds=30) == 1


def test_the_compiler_is_looked_for_before_anything_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda")
    found_here = missing_to_compile(gpu)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CC", raising=False)
    assert missing_to_compile(gpu) == [*(what for what in found_here if "Triton" in what), "a C compiler and Python.h"]
    assert "a GPU" in missing_to_compile(torch.device("cpu"))
