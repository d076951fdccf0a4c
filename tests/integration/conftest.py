"""Run the real workflow as a user does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


def snakemake(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in `folder` with the workstation profile, without GPUs, and return what it said."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "workflow/Snakefile")]
    profile = ["--profile", str(REPOSITORY / "workflow/profiles/workstation"), "--directory", str(folder)]
    result = subprocess.run(
        [*command, *profile, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    assert not check or result.returncode == 0, result.stdout + result.stderr
    return result


def assert_results(run: Path, finetunes: Sequence[str], *, split: str = "test") -> None:
    """Assert that every file of the results layout is there for one run."""
    expected = [
        "pretrain/last.ckpt",
        "pretrain/checkpoints.csv",
        "pretrain/history.csv",
        "pretrain/run.json",
        "encoder/encoder.safetensors",
        "encoder/selection.json",
        "evaluate/knn.json",
        "evaluate/linear.json",
        f"features/{split}/backbone.npy",
        f"features/{split}/projection_head.npy",
        f"features/{split}/rows.parquet",
        "umap/quality.json",
        *(
            f"umap/{layer}.{kind}"
            for layer in ("backbone", "projection_head")
            for kind in ("png", "svg", "html", "csv")
        ),
        *(
            f"finetune/{name}/{file}"
            for name in finetunes
            for file in ("model.safetensors", "metrics.json", "history.csv", "predictions.parquet")
        ),
    ]
    assert [name for name in expected if not (run / name).stat().st_size] == []


@pytest.fixture(scope="session")
def originals() -> Path:
    """Return the folder of real CIFAR-10 and MNIST files."""
    folder = os.environ.get("SIMCLR_TEST_DATA")
    if not folder:
        pytest.skip("SIMCLR_TEST_DATA names no folder with the files of CIFAR-10 and MNIST")
    return Path(folder)
