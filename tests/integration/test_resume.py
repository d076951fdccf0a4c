"""The number of processes changes nothing that the workflow makes, and what was trained once is not trained again."""

from __future__ import annotations

import copy
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from simclr_steps.files import read_table
from tests.integration.conftest import snakemake
from tests.unit.step_processes import content

CONFIG: dict[str, Any] = {
    "datasets": {"digits": {"source": "digits", "subset": 200}},
    "pretrains": {
        "simclr": {
            "encoder": "own_encoders:without_batch_norm",
            "epochs": 3,
            "global_batch_size": 32,
            "projection_head": {"hidden_size": 16, "output_size": 8},
        }
    },
    "experiments": [{"dataset": "digits", "pretrain": "simclr", "finetunes": [], "seeds": [0]}],
}
PRETRAINED = Path("results/digits/simclr/seed0/pretrain")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    shutil.copy(Path(__file__).parents[1] / "own_encoders.py", tmp_path)
    return tmp_path


@pytest.mark.slow(70)
def test_two_processes_give_the_same_checkpoints_as_one(project: Path) -> None:
    tables = []
    for processes in (1, 2):
        shutil.rmtree(project / PRETRAINED, ignore_errors=True)
        shutil.rmtree(project / "work", ignore_errors=True)
        options = ("--set-resources", f"pretrain:processes={processes}", "pretrain:gpu=0")
        snakemake(project, "--configfile", str(project / "config.yaml"), *options, "--", "pretrain_all", warm=True)
        tables.append(read_table(project / PRETRAINED / "checkpoints.csv"))
    one, two = tables
    assert [(row["file"], row["epoch"], row["step"]) for row in one] == [
        (row["file"], row["epoch"], row["step"]) for row in two
    ]
    losses = [[float(row["validate_loss"] or "nan") for row in table] for table in tables]  # not each epoch is judged
    assert losses[0] == pytest.approx(losses[1], rel=1e-4, nan_ok=True) and not math.isnan(losses[0][-1])


@pytest.mark.slow(70)
def test_epochs_that_are_changed_and_changed_back_train_nothing_again(project: Path) -> None:
    """Two epochs, four, and two again; the classifier is restored as well, since its encoder is the same."""
    config: dict[str, Any] = copy.deepcopy(CONFIG)
    config["finetunes"] = {"few": {"labels": 20, "epochs": 1}}
    config["experiments"][0]["finetunes"] = ["few"]
    log = project / "logs/digits/simclr/seed0"
    contents, trained = [], []
    for epochs in (2, 4, 2):
        config["pretrains"]["simclr"]["epochs"] = epochs
        (project / "config.yaml").write_text(yaml.safe_dump(config))
        snakemake(project, "--configfile", str(project / "config.yaml"), "--", "finetune_all", warm=True)
        said = (log / "pretrain.log").read_text(), (log / "finetune/few.log").read_text()
        trained.append(["after epoch" in text for text in said])
        contents.append([content(project / PRETRAINED), content(project / PRETRAINED.parent / "finetune/few")])
    assert trained == [[True, True], [True, True], [False, False]]
    assert contents[0] == contents[2] != contents[1]
    again = snakemake(project, "--configfile", str(project / "config.yaml"), "--dry-run", "--", "finetune_all")
    assert "Nothing to be done" in again.stdout + again.stderr
