"""Real fields of five 16-bit channels, cut into cells: an offset of some plates is found, and without it nothing is."""

from __future__ import annotations

import json
import re
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

FIELDS = {
    "DNA": "1-162hrhoe2.tif",
    "H2AX": "1-162hrh2ax2.tif",
    "G": "0_1_N_G.png",
    "R": "0_1_N_R.png",
    "cherry": "cherry.tif",
}
SIDE, CELLS, PLATES = 48, 240, 4


def read(path: Path) -> Any:
    return tifffile.imread(path) if path.suffix == ".tif" else np.asarray(Image.open(path)).astype(np.uint16)


@pytest.fixture
def tables(originals: Path, tmp_path: Path) -> dict[str, str]:
    """Write the same cells twice, a file for each channel, with an offset on half of the plates and without."""
    folder = originals / "microscopy"
    if not folder.is_dir():
        pytest.skip("SIMCLR_TEST_DATA names no folder with microscopy/")
    fields = {name: read(folder / file) for name, file in FIELDS.items()}
    plate = np.random.default_rng(0).integers(0, PLATES, CELLS)
    for kind in ("shifted", "plain"):
        rows = []
        for cell, (top, left) in enumerate(list(np.ndindex(20, 25))[:CELLS]):
            paths = {f"path.{name}": f"{kind}/{name}/{cell:03}.tif" for name in fields}
            for name, field in fields.items():
                square = field[top * SIDE :, left * SIDE :][:SIDE, :SIDE].astype(np.float64)
                shift = field.std() * (plate[cell] % 2) * (kind == "shifted")
                file = tmp_path / paths[f"path.{name}"]
                file.parent.mkdir(parents=True, exist_ok=True)
                tifffile.imwrite(file, np.clip(square + shift, 0, 65535).astype(np.uint16))
            rows.append({**paths, "plate": f"P{plate[cell]}", "site": cell % 7})
        pd.DataFrame(rows).to_csv(tmp_path / f"{kind}.csv", index=False)
    return {kind: f"{kind}.csv" for kind in ("shifted", "plain")}


def write_config(folder: Path, tables: dict[str, str], metadata: list[str]) -> None:
    block = {"source": "folder", "image_size": 32, "channels": list(FIELDS), "bits": 16}
    config = {
        "datasets": {name: {**block, "path": path} for name, path in tables.items()},
        "pretrains": {
            "simclr": {
                **{"encoder": "mine:without_batch_norm", "epochs": 2, "global_batch_size": 64},
                "augmentation": {"preset": "microscopy", "brightness": 0.0, "contrast": 0.0},
            }
        },
        "metadata": metadata,
        "umap": {"n_neighbors": 10},
        "explore": {"splits": []},
        "experiments": [{"dataset": name, "pretrain": "simclr"} for name in tables],
    }
    (folder / "my.yaml").write_text(yaml.safe_dump(config))


@pytest.mark.slow(80)
def test_an_offset_of_plates_is_found_in_one_command_and_a_further_column_reruns_only_what_shows_it(
    tables: dict[str, str], tmp_path: Path
) -> None:
    shutil.copy(REPOSITORY / "tests/own_encoders.py", tmp_path / "mine.py")
    write_config(tmp_path, tables, ["plate"])
    snakemake(tmp_path, "--configfile", "my.yaml", warm=True)

    form = json.loads((tmp_path / "resources/shifted/dataset.json").read_text())["image_format"]
    assert (form["channel_names"], form["dtype"], form["bits"]) == (list(FIELDS), "uint16", 16)
    found = {
        kind: json.loads((tmp_path / f"results/{kind}/simclr/seed0/evaluate/metadata.json").read_text())["columns"]
        for kind in tables
    }
    assert found["shifted"]["plate"]["images"] == CELLS
    page = (tmp_path / "results/summary.html").read_text(encoding="utf-8")
    shifted, plain = (re.findall(rf"<li>({kind}/simclr: plate .*?)</li>", page) for kind in tables)
    assert len(shifted) == len(plain) == 1
    assert "where chance is" in shifted[0] and "a batch effect" in shifted[0]
    assert "cannot be distinguished from chance" in plain[0]
    for kind in tables:
        run = tmp_path / f"results/{kind}/simclr/seed0"
        for rows in (pd.read_parquet(run / "features/test/rows.parquet"), pd.read_csv(run / "umap/backbone.csv")):
            assert set(rows["plate"]) == {f"P{number}" for number in range(PLATES)}
        assert '"name": "plate"' in (run / "umap/map.html").read_text(encoding="utf-8")
        assert (run / "umap/metadata.png").stat().st_size

    write_config(tmp_path, tables, ["plate", "site"])
    planned = snakemake(tmp_path, "--configfile", "my.yaml", "--dry-run", "--quiet", "host", warm=True)
    rules = set(re.findall(r"^(?:local)?rule (\w+):", planned.stdout + planned.stderr, re.MULTILINE))
    assert rules == {"metadata", "umap", "summary", "all"}
