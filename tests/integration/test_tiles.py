"""A folder of large TIFF files, made of real fields, becomes tiles and runs from files to the page."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
import yaml
from PIL import Image

from tests.integration.conftest import REPOSITORY, snakemake
from tests.layout import assert_results

FIELDS = {"speckles": "1-162hrhoe2.tif", "nuclei": "0_1_N_G.png"}
DOWN, ACROSS, SIDE = 3, 2, 128  # parts of a field that become images, and pixels of a tile


@pytest.fixture
def slides(originals: Path, tmp_path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Cut each field into images of their own, in folders named like classes; return them by their path."""
    folder = originals / "microscopy"
    if not folder.is_dir():
        pytest.skip("SIMCLR_TEST_DATA names no folder with microscopy/")
    images = {}
    for label, name in FIELDS.items():
        field = tifffile.imread(folder / name) if name.endswith("tif") else np.asarray(Image.open(folder / name))
        field = field.astype(np.uint16)
        (tmp_path / "slides" / label).mkdir(parents=True)
        for number, (top, left) in enumerate(np.ndindex(DOWN, ACROSS)):
            height, width = field.shape[0] // DOWN, field.shape[1] // ACROSS
            image = field[top * height :, left * width :][:height, :width]
            path = f"{label}/{number}.tif"
            tifffile.imwrite(tmp_path / "slides" / path, image, tile=(64, 64), compression="zlib", bigtiff=True)
            images[path] = image
    return images


@pytest.mark.slow(60)
def test_large_images_run_from_files_to_the_accuracy_per_image(
    slides: dict[str, np.ndarray[Any, Any]], tmp_path: Path
) -> None:
    config = yaml.safe_load((REPOSITORY / "config/recipes/tiles.yaml").read_text(encoding="utf-8"))
    config["datasets"]["slides"] |= {"path": "slides", "channels": 1, "image_size": 32, "test_fraction": 0.4}
    config["datasets"]["slides"]["tiles"] = {"size": SIDE}
    shutil.copy(REPOSITORY / "tests/own_encoders.py", tmp_path / "mine.py")
    small = {"encoder": "mine:without_batch_norm", "stem": "auto"}
    config["pretrains"]["simclr"] |= {**small, "epochs": 1, "global_batch_size": 32}
    config["finetunes"] = {"pretrained": {"epochs": 2}}
    config["experiments"][0]["finetunes"] = ["pretrained"]
    config["evaluation"] = {"labels": [1.0], "draws": 1, "augmentation": None}
    config["explore"] = {"splits": []}
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(config))
    snakemake(tmp_path, "--configfile", str(tmp_path / "my.yaml"), warm=True)

    run = tmp_path / "results/slides/simclr/seed0"
    assert_results(run, ["pretrained"], explored=False)
    data = tmp_path / "resources/slides"
    rows = {split: pd.read_parquet(data / f"{split}.rows.parquet") for split in ("train", "validation", "test")}
    parents = {split: set(table["parent"]) for split, table in rows.items()}
    assert set.union(*parents.values()) == set(slides) and sum(map(len, parents.values())) == len(slides)
    tiles = sum((image.shape[0] // SIDE) * (image.shape[1] // SIDE) for image in slides.values())
    assert sum(map(len, rows.values())) == tiles
    assert json.loads((data / "dataset.json").read_text())["splits"]["test"]["groups"] == len(parents["test"])

    predicted = pd.read_parquet(run / "finetune/pretrained/predictions.parquet")
    assert set(predicted["parent"]) == parents["test"]
    names = sorted(FIELDS)
    mean = predicted.groupby("parent")[[f"probability_{name}" for name in names]].mean()
    found = zip(mean.index, mean.to_numpy().argmax(axis=1), strict=True)
    right = np.mean([str(parent).startswith(names[number]) for parent, number in found])
    summary = pd.read_csv(tmp_path / "results/summary.csv")
    judged = summary[(summary["metric"] == "parent_accuracy") & (summary["split"] == "test")].set_index("draw")
    draws = json.loads((run / "finetune/pretrained/metrics.json").read_text())["draws"]
    assert judged.index.tolist() == [draw["draw"] for draw in draws]
    row = judged.loc[0]  # whose classifier predicts
    assert (row["value"], row["images"]) == (right, len(parents["test"]))
    for page in ("summary.md", "summary.html"):
        assert f"the tiles of each of {len(parents['test'])} images, and " in (tmp_path / "results" / page).read_text()
