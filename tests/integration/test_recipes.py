"""The recipes run through all stages on the real files, cut short as README shows."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.integration.conftest import REPOSITORY
from tests.integration.test_readme import commands
from tests.layout import SCRATCH, assert_results
from tests.snakemake_runs import run_snakemake


@pytest.mark.slow(190)
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("recipe", "run", "finetunes", "images"),
    [
        ("mnist", "mnist/simclr/seed0", ["pretrained_30", "scratch_30"], 128),
        ("cifar10", "cifar10/resnet18/seed0", ["scratch_30"], 128),
    ],
)
def test_readmes_quick_try_of_a_recipe_runs_through_all_stages_on_the_real_files(
    tmp_path: Path, originals: Path, recipe: str, run: str, finetunes: list[str], images: int
) -> None:
    [command] = [words for words in commands("snakemake") if f"config/recipes/{recipe}.yaml" in words]
    with_path = [word.replace(f"{recipe}: {{subset", f"{recipe}: {{path: {originals}, subset") for word in command]
    assert with_path != command
    done = run_snakemake([*with_path[1:], "--directory", str(tmp_path)], REPOSITORY, {}, warm=True)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "results" / run
    shared = [name for name in finetunes if name.startswith("scratch")]
    assert_results(folder, [name for name in finetunes if name not in shared], shared=shared)
    summary = pd.read_csv(tmp_path / "results/summary.csv")
    assert {"knn", "linear", "finetune", "umap"} <= set(summary["stage"])
    for name in finetunes:
        start = folder.parents[1] / SCRATCH if name in shared else folder
        rows = pd.read_parquet(start / "finetune" / name / "predictions.parquet")["row"]
        assert sorted(rows) == list(range(images))
