from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.settings.base import PACKED_SPLITS
from simclr_steps.settings.metadata import MetadataSettings
from simclr_steps.steps import metadata as module
from simclr_steps.steps.metadata import metadata
from tests.unit.conftest import WritePacked

SIZES = {"train": 200, "validation": 60, "test": 60}


@pytest.fixture
def gathered(write_packed: WritePacked, tmp_path: Path) -> Path:
    """Features of all splits in which the plate, but not the site, shows."""
    write_packed()
    random = np.random.default_rng(0)
    offsets = 2 * random.normal(size=(4, 8))
    for split, count in SIZES.items():
        folder = tmp_path / "features" / split
        folder.mkdir(parents=True)
        plates, sites = random.integers(0, 4, count), random.integers(0, 3, count)
        np.save(folder / "backbone.npy", (random.normal(size=(count, 8)) + offsets[plates]).astype(np.float32))
        rows = {"row": range(count), "source": split, "plate": [f"P{plate}" for plate in plates]}
        table = pd.DataFrame({**rows, "site": sites.astype(str), "own": [f"{split}{row}" for row in range(count)]})
        table["plate"] = table["plate"].where(np.arange(count) % 10 > 0, None)
        table.to_parquet(folder / "rows.parquet", index=False)
        (folder / "run.json").write_text(json.dumps({"split": split, "run": {"data_hash": "pixels-of-data"}}))
    return tmp_path / "features"


def run(features: Path, *columns: str) -> dict[str, Any]:
    out = features.parent / "metadata.json"
    metadata(MetadataSettings(columns=list(columns)), features=features, data=features.parent / "data", out=out)
    content: dict[str, Any] = json.loads(out.read_text())
    return content


def test_images_of_all_splits_are_judged_together(gathered: Path) -> None:
    content = run(gathered, "plate", "site")
    assert (content["neighbors"], content["judged_by"], content["run"]["step"]) == (10, "test", "metadata")
    plate, site = content["columns"]["plate"], content["columns"]["site"]
    assert (plate["images"], site["images"]) == (288, 320), "images without a plate are left out"
    assert plate["accuracy"] > 0.8 and plate["chance"] == pytest.approx(0.25, abs=0.05)
    assert site["accuracy"] == pytest.approx(site["chance"], abs=0.07)


def test_of_many_images_some_are_drawn(gathered: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = np.concatenate([np.load(gathered / split / "backbone.npy") for split in PACKED_SPLITS])
    drawn = np.array([0, 199, 200, 259, 260, 319])
    np.testing.assert_array_equal(module._features([gathered / split for split in PACKED_SPLITS], drawn), read[drawn])
    monkeypatch.setattr(module, "_MOST_IMAGES", 100)
    assert run(gathered, "site")["columns"]["site"]["images"] == 100


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        ("plat", r'metadata: data has no column "plat"; did you mean "plate"\?'),
        ("own", r'metadata: the column "own" of data has another value in each row'),
    ],
)
def test_a_wrong_column_is_named(gathered: Path, column: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        run(gathered, "site", column)
    assert not (gathered.parent / "metadata.json").exists()


def test_judged_by_the_hold_out_it_reads_no_features_of_the_test_split(gathered: Path) -> None:
    shutil.rmtree(gathered / "test")
    asked, out = MetadataSettings(columns=["site"]), gathered.parent / "metadata.json"
    metadata(asked, features=gathered, data=gathered.parent / "data", judged_by="validation", out=out)
    assert json.loads(out.read_text())["columns"]["site"]["images"] == 260
