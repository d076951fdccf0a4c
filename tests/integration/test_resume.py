"""The number of processes changes nothing that the workflow makes, and only where a scheduler rules is time short."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from simclr_steps.files import read_table
from tests.integration.conftest import snakemake

CONFIG = {
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


def test_two_processes_give_the_same_checkpoints_as_one(project: Path) -> None:
    tables = []
    for processes in (1, 2):
        shutil.rmtree(project / PRETRAINED, ignore_errors=True)
        options = ("--set-resources", f"pretrain:processes={processes}", "pretrain:gpu=0")
        snakemake(project, "--configfile", str(project / "config.yaml"), *options, "--", "pretrain_all")
        tables.append(read_table(project / PRETRAINED / "checkpoints.csv"))
    one, two = tables
    assert [(row["file"], row["epoch"], row["step"]) for row in one] == [
        (row["file"], row["epoch"], row["step"]) for row in two
    ]
    for name in ("validate_loss",):
        assert [float(row[name]) for row in one] == pytest.approx([float(row[name]) for row in two], rel=1e-4)
