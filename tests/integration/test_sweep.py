"""Two seeds, two temperatures and three label fractions give one table and plot; nothing is pretrained twice.

Nothing of the test split is read.
"""

from __future__ import annotations

import itertools
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.integration.conftest import REPOSITORY, snakemake

FILES_OF_TEST = [Path("resources/digits") / f"test.{part}" for part in ("images.npy", "labels.npy", "rows.parquet")]
CONFIG: dict[str, Any] = {
    "datasets": {"digits": {"source": "digits", "subset": 200}},
    "pretrains": {
        "simclr": {
            "encoder": "mine:without_batch_norm",
            "epochs": 1,
            "global_batch_size": 50,
            "projection_head": {"hidden_size": 16, "output_size": 8},
        }
    },
    "evaluation": {"labels": [0.1, 0.3, 1.0], "draws": 1, "augmentation": None},
    "umap": {"max_points": 20},
    "explore": {"splits": ["test"]},
    "finetunes": {"tuned": {"labels": 0.5, "epochs": 1, "augmentation": None}},
    # The second experiment asks for a part of the first and for nothing to pretrain that is new.
    "experiments": [
        {"dataset": "digits", "pretrain": "simclr", "seeds": [0, 1], "grid": {"temperature": [0.1, 0.5]}},
        {
            **{"dataset": "digits", "pretrain": "simclr", "seeds": [0], "grid": {"temperature": [0.5]}},
            "finetunes": ["tuned"],
        },
    ],
}


@pytest.mark.slow(120)
@pytest.mark.timeout(1800)  # thirty steps, of which each but starts and ends: a minute where nothing else runs
def test_seeds_temperatures_and_label_fractions_are_aggregated_and_no_pretraining_runs_twice(tmp_path: Path) -> None:
    shutil.copy(REPOSITORY / "tests/own_encoders.py", tmp_path / "mine.py")
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(CONFIG))
    packed = [str(file) for file in FILES_OF_TEST]
    snakemake(tmp_path, *packed, "--configfile", str(tmp_path / "my.yaml"), warm=True)
    for file in FILES_OF_TEST:
        (tmp_path / file).unlink()  # so that a step that reads it fails, and a rule that asks for it makes it anew
    page_of_run = "results/digits/simclr-temperature=0.5/seed0/index.html"  # which two pretrainings do not ask for
    done = snakemake(tmp_path, "all", page_of_run, "--configfile", str(tmp_path / "my.yaml"), warm=True)
    assert not [file for file in FILES_OF_TEST if (tmp_path / file).exists()]
    assert not re.findall(r"\(Rule: (?:prepare|label)\)", done.stdout + done.stderr)
    assert len(re.findall(r"Finished jobid: \d+ \(Rule: pretrain\)", done.stdout + done.stderr)) == 4

    table = pd.read_csv(tmp_path / "results/summary.csv")
    names = {f"simclr-temperature={temperature}" for temperature in (0.1, 0.5)}
    probes = table.query("stage == 'linear' and input == 'simclr' and split == 'validation' and metric == 'accuracy'")
    found = set(zip(probes["pretrain"], probes["seed"], probes["labels"], strict=True))
    assert found == set(itertools.product(names, (0, 1), (20, 60, 200)))

    assert not (table["split"] == "test").any()
    of_tuned = tmp_path / "results/digits/simclr-temperature=0.5/seed0/finetune/tuned"
    assert not [*of_tuned.glob("test.*"), *of_tuned.glob("predictions*"), *of_tuned.glob("mistakes*")]
    rows = pd.read_parquet(tmp_path / "resources/digits/validation.rows.parquet")["source"]
    assert pd.read_parquet(of_tuned / "validation.predictions.parquet")["source"].tolist() == rows.tolist()
    assert set(pd.read_csv(of_tuned / "validation.mistakes.csv")["source"]) <= set(rows)

    page = (tmp_path / page_of_run).read_text()
    assert "<h1>digits, simclr-temperature=0.5, seed 0</h1>" in page and "temperature=0.1" not in page

    page = (tmp_path / "results/summary.html").read_text()
    (compared,) = re.findall(r"digits: comparison of the pretrainings</h2>.*?</table>", page, re.DOTALL)
    cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", compared, re.DOTALL)
    assert names < set(cells)
    assert {"20 labels", "60 labels", "200 labels"} < set(cells)
    of_one = probes[(probes["pretrain"] == "simclr-temperature=0.1") & (probes["labels"] == 60)]["value"]
    mean = f"{100 * of_one.mean():.1f} ± {100 * of_one.std():.1f}\n["  # below it the interval and the number of values
    assert any(cell.startswith(mean) and cell.endswith("] (2)") for cell in cells), cells

    words = set(re.findall(r"<text[^>]*>(.*?)</text>", (tmp_path / "results/summary/sweep.svg").read_text()))
    assert {"temperature", "0.1", "0.5", "20 labels", "60 labels", "200 labels", "kNN, all labels"} <= words
