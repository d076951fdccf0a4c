"""The recipes run through all stages on the real files, cut short as README shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd

from tests.integration.conftest import REPOSITORY, snakemake
from tests.integration.test_readme import commands
from tests.layout import assert_results


def test_readmes_quick_try_of_mnist_runs_to_the_end_on_the_real_files(tmp_path: Path, originals: Path) -> None:
    [command] = [words for words in commands("snakemake") if "config/recipes/mnist.yaml" in words]
    with_path = [word.replace("mnist: {subset", f"mnist: {{path: {originals}, subset") for word in command]
    assert with_path != command
    done = subprocess.run(
        [sys.executable, "-m", *with_path, "--directory", str(tmp_path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert_results(tmp_path / "results/mnist/simclr/seed0", ["pretrained_30", "scratch_30"])


def test_cifar10_recipe_runs_through_all_stages_on_the_real_files(tmp_path: Path, originals: Path) -> None:
    recipe, pretrain, epochs, finetune = "cifar10", "resnet18", 1, "scratch_30"
    snakemake(
        tmp_path,
        "--configfile",
        str(REPOSITORY / f"config/recipes/{recipe}.yaml"),
        "--config",
        f"datasets={{{recipe}: {{path: {originals}, subset: 128}}}}",
        f"pretrains={{{pretrain}: {{epochs: {epochs}, global_batch_size: 32}}}}",
        f"finetunes={{{finetune}: {{epochs: 1}}}}",
        "evaluation={labels: [1.0]}",
        f"experiments=[{{dataset: {recipe}, pretrain: {pretrain}, finetunes: [{finetune}]}}]",
    )
    assert_results(tmp_path / f"results/{recipe}/{pretrain}/seed0", [finetune])
    summary = pd.read_csv(tmp_path / "results/summary.csv")
    assert {"knn", "linear", "finetune", "umap"} <= set(summary["stage"])
    predictions = pd.read_parquet(
        tmp_path / f"results/{recipe}/{pretrain}/seed0/finetune/{finetune}/predictions.parquet"
    )
    assert sorted(predictions["row"]) == list(range(128))
