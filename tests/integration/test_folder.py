"""A folder of real photographs, of mixed sizes, formats and modes, runs through all stages that make sense for it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from sklearn.datasets import load_sample_images

from simclr_steps.commands.init import init
from tests.integration.conftest import REPOSITORY, snakemake
from tests.layout import assert_results

IMAGES = 120  # of each of scikit-learn's two photographs, a temple and a flower
ENCODER = "mine:without_batch_norm"
MODES = ["RGB", "L", "P", "RGBA"]
SHORT = [  # as a user would for a quick try
    "datasets={photos: {image_size: 16}}",
    "pretrains={simclr: {epochs: 2, warmup_epochs: 1}}",
    "finetunes={pretrained: {epochs: 1}, scratch: {epochs: 1}}",
    "evaluation={augmentation: null}",
]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write pieces of two photographs as files of their own, one folder for each photograph."""
    folder = tmp_path_factory.mktemp("my") / "photos"
    generator = np.random.default_rng(0)
    for name, pixels in zip(["temple", "flower"], load_sample_images().images, strict=True):
        (folder / name).mkdir(parents=True)
        photo = Image.fromarray(pixels)
        for number in range(IMAGES):
            width, height = (int(side) for side in generator.integers(40, 200, 2))
            left = int(generator.integers(0, photo.width - width))
            top = int(generator.integers(0, photo.height - height))
            piece = photo.crop((left, top, left + width, top + height)).convert(MODES[number % 4])
            kind = "jpg" if number % 4 < 2 else "png"  # JPEG knows neither palettes nor transparency
            piece.save(folder / name / f"{number:03}.{kind}")
    return folder


def settings(path: Path, *, finetunes: bool) -> dict[str, object]:
    """Return the folder recipe for images of 16 pixels, one or two epochs and a small network."""
    config: dict[str, object] = yaml.safe_load((REPOSITORY / "config/recipes/folder.yaml").read_text())
    return config | {
        "datasets": {"photos": {"source": "folder", "path": str(path), "image_size": 16}},
        "pretrains": {"simclr": {"encoder": ENCODER, "epochs": 2, "global_batch_size": 64}},
        "finetunes": {"pretrained": {"epochs": 1}} if finetunes else {},
        "evaluation": {"labels": [0.1, 1.0]},
        "experiments": [{"dataset": "photos", "pretrain": "simclr", "finetunes": ["pretrained"] if finetunes else []}],
    }


def write(folder: Path, config: dict[str, object]) -> None:
    """Write a config and the module that it names."""
    (folder / "my.yaml").write_text(yaml.safe_dump(config))
    shutil.copy(REPOSITORY / "tests/own_encoders.py", folder / "mine.py")


@pytest.mark.slow(50)
def test_photographs_run_through_all_stages_by_the_config_that_init_prints(
    tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init(photos)
    (tmp_path / "my.yaml").write_text(capsys.readouterr().out)
    snakemake(tmp_path, "--configfile", str(tmp_path / "my.yaml"), "--config", *SHORT, warm=True)
    run = tmp_path / "results/photos/simclr/seed0"
    # without a GPU, init proposes the stem that is quicker there
    assert_results(run, ["pretrained"], shared=["scratch"], start="compare/random-resnet18-imagenet-seed0")
    assert "flower" in (tmp_path / "results/summary.html").read_text()
    description = json.loads((tmp_path / "resources/photos/dataset.json").read_text())
    assert description["classes"] == ["flower", "temple"]
    assert sum(split["images"] for split in description["splits"].values()) == 2 * IMAGES
    accuracy = json.loads((run / "evaluate/knn.json").read_text())["test"]["accuracy"]
    assert accuracy > 0.7  # two photographs are told apart by little more than their colors


@pytest.mark.slow(50)
def test_unlabeled_photographs_run_to_features_and_plots_and_say_what_cannot_be_measured(
    tmp_path: Path, photos: Path
) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for file in photos.glob("*/*"):
        (flat / f"{file.parent.name}-{file.name}").write_bytes(file.read_bytes())
    config = settings(flat, finetunes=False) | {"umap": {"split": "all"}}
    write(tmp_path, config)
    snakemake(tmp_path, "--configfile", str(tmp_path / "my.yaml"), warm=True)
    run = tmp_path / "results/photos/simclr/seed0"
    assert_results(run, [])
    assert json.loads((run / "evaluate/knn.json").read_text())["note"]
    rows = pd.read_parquet(run / "features/test/rows.parquet")
    assert rows["label"].isna().all() and len(rows) == round(0.2 * 2 * IMAGES)
    splits = pd.read_parquet(run / "umap/points.parquet")["split"].value_counts()
    assert splits.sum() == 2 * IMAGES and set(splits.index) == {"train", "validation", "test"}
    assert json.loads((run / "galleries/run.json").read_text())["split"] == "train, validation, test"


@pytest.mark.slow(50)
def test_a_few_labels_among_many_images_run_to_the_end_with_features_of_the_others(
    tmp_path: Path, photos: Path
) -> None:
    files = sorted(photos.glob("*/*"))
    lines = [f"{file},{file.parent.name if number % 6 == 0 else ''}" for number, file in enumerate(files)]
    (tmp_path / "few.csv").write_text("\n".join(["path, label", *lines]))
    config = settings(tmp_path / "few.csv", finetunes=True) | {
        "datasets": {
            "photos": {
                "source": "folder",
                "path": str(tmp_path / "few.csv"),
                "image_size": 16,
                "test_fraction": 0.5,
            }
        },
        "pretrains": {"simclr": {"encoder": ENCODER, "epochs": 1, "global_batch_size": 64}},
        "evaluation": {"labels": [1.0], "draws": 1, "augmentation": None},
        "prediction": {"splits": ["unlabeled"]},
        "umap": {"split": "unlabeled"},
    }
    write(tmp_path, config)
    snakemake(tmp_path, "--configfile", str(tmp_path / "my.yaml"), warm=True)
    run = tmp_path / "results/photos/simclr/seed0"
    assert_results(run, ["pretrained"])
    splits = json.loads((tmp_path / "resources/photos/dataset.json").read_text())["splits"]
    assert splits["validation"]["images"] == round(0.1 * (2 * IMAGES - splits["test"]["images"]))
    assert 0 < splits["validation"]["labeled"] < splits["validation"]["images"]
    rows = pd.read_parquet(run / "features/unlabeled/rows.parquet")
    assert len(rows) == splits["unlabeled"]["images"] > IMAGES and rows["label"].isna().all()
    assert pd.read_parquet(run / "umap/points.parquet")["row"].tolist() == rows["row"].tolist()
