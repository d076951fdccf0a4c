"""The recipes run through all stages on the real files, cut short as README shows."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.integration.conftest import REPOSITORY, snakemake
from tests.layout import assert_results


@pytest.mark.parametrize(
    ("recipe", "pretrain", "epochs", "finetune"),
    [("mnist", "simclr", 2, "pretrained_30"), ("cifar10", "resnet18", 1, "scratch_30")],
)
def test_recipe_runs_through_all_stages_on_the_real_files(
    tmp_path: Path, originals: Path, recipe: str, pretrain: str, epochs: int, finetune: str
) -> None:
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
