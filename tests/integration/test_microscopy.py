"""Cells cut from a real field of two 16-bit channels, one file per channel, run from files to the page."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import yaml

from tests.integration.conftest import REPOSITORY, snakemake
from tests.layout import assert_results

FIELD = {"DNA": "1-162hrhoe2.tif", "H2AX": "1-162hrh2ax2.tif"}
SIDE, STRIPS = 48, 8


@pytest.fixture
def cells(originals: Path, tmp_path: Path) -> pd.DataFrame:
    """Cut the field into squares; those of a horizontal strip are a group, and bright and dim ones the classes."""
    folder = originals / "microscopy"
    if not folder.is_dir():
        pytest.skip("SIMCLR_TEST_DATA names no folder with microscopy/")
    planes = {name: tifffile.imread(folder / file) for name, file in FIELD.items()}
    height, width = planes["DNA"].shape
    rows = []
    for number, (top, left) in enumerate(np.ndindex(height // SIDE, width // SIDE)):
        part = {name: plane[top * SIDE :, left * SIDE :][:SIDE, :SIDE] for name, plane in planes.items()}
        paths = {f"path.{name}": f"{name}/{number:03}.tif" for name in part}
        for name, square in part.items():
            (tmp_path / name).mkdir(exist_ok=True)
            tifffile.imwrite(tmp_path / paths[f"path.{name}"], square)
        group = f"strip{top * STRIPS // (height // SIDE)}"
        rows.append({**paths, "group": group, "brightness": part["DNA"].mean()})
    table = pd.DataFrame(rows)
    bright = table.pop("brightness")
    table["label"] = np.where(bright > bright.median(), "bright", "dim")
    table.to_csv(tmp_path / "cells.csv", index=False)
    return table


@pytest.mark.slow(60)
def test_cells_of_two_channels_run_from_files_to_the_page(cells: pd.DataFrame, tmp_path: Path) -> None:
    config = yaml.safe_load((REPOSITORY / "config/recipes/microscopy.yaml").read_text(encoding="utf-8"))
    config["datasets"]["cells"] |= {"path": "cells.csv", "channels": list(FIELD), "image_size": 32, "subset": 150}
    config["datasets"]["cells"]["display"] = {"DNA": "blue", "H2AX": "green"}
    shutil.copy(REPOSITORY / "tests/own_encoders.py", tmp_path / "mine.py")
    small = {"encoder": "mine:without_batch_norm", "stem": "auto"}
    config["pretrains"]["simclr"] |= {**small, "epochs": 1, "global_batch_size": 32}
    config["finetunes"] = {"pretrained": {**config["finetunes"]["pretrained"], "epochs": 1}}
    config["experiments"][0]["finetunes"] = ["pretrained"]
    config["evaluation"] = {"labels": [1.0], "draws": 1, "augmentation": None}
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(config))
    snakemake(tmp_path, "--configfile", str(tmp_path / "my.yaml"), warm=True)

    assert_results(tmp_path / "results/cells/simclr/seed0", ["pretrained"])
    form = json.loads((tmp_path / "resources/cells/dataset.json").read_text())["image_format"]
    assert (form["channel_names"], form["dtype"], form["bits"]) == (["DNA", "H2AX"], "uint16", 16)
    fields = {name: np.stack([tifffile.imread(tmp_path / path) for path in cells[f"path.{name}"]]) for name in FIELD}
    for (low, high), values in zip(form["value_range"], fields.values(), strict=True):
        assert values.min() <= low < np.median(values) < high <= values.max()
    places = {
        split: pd.read_parquet(tmp_path / f"resources/cells/{split}.rows.parquet")["group"]
        for split in ("train", "test")
    }
    assert not set(places["train"]) & set(places["test"])
    page = (tmp_path / "results/summary.html").read_text(encoding="utf-8")
    assert "32 × 32 pixels, 2 channels (DNA, H2AX), 16 bits, range DNA" in page
    assert "bootstrap over whole groups" in page
