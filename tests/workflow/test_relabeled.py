"""Labels and columns of a table that change rerun what reads labels, and neither packing nor pretraining."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workflow.conftest import Project


@pytest.fixture
def labeled_cells(fresh: Project, write_images: Callable[[str, str], Path]) -> tuple[Project, Path]:
    """A project that packed a table of images, whose further results are empty files that count as made."""
    for number in range(120):
        cells = write_images("cells", f"{number}.png").parents[1]
    splits = ["train"] * 80 + ["val"] * 20 + ["test"] * 20
    lines = [f"cells/{n}.png,{'' if n < 50 else 'ab'[n % 2]},{split}" for n, split in enumerate(splits)]
    (cells / "cells.csv").write_text("\n".join(["path,label,split", *lines]) + "\n")
    block = {"source": "folder", "path": str(cells / "cells.csv"), "image_size": 8, "channels": 1}
    fresh.config["datasets"] = {"own": block}
    fresh.config["explore"] = {"splits": []}  # it would compute features of train, too
    fresh.config["experiments"] = [{"dataset": "own", "pretrain": "simclr", "finetunes": ["scratch"]}]
    fresh.write_config()
    done = fresh.forked_snakemake("--cores", "1", "prepare_all", warm=True)
    assert done.returncode == 0, done.stdout + done.stderr
    run = fresh.folder / "results/own/simclr/seed0"
    (run / "pretrain").mkdir(parents=True)
    for file in ("encoder/encoder.safetensors", "encoder/selection.json"):
        (run / file).parent.mkdir(exist_ok=True)
        (run / file).write_text("{}")
    for file in ("backbone.npy", "projection_head.npy", "run.json", "rows.parquet"):
        (run / "features/test").mkdir(parents=True, exist_ok=True)
        (run / "features/test" / file).write_text("{}")
    return fresh, cells / "cells.csv"


@pytest.mark.slow
def test_labels_and_columns_that_change_plan_no_packing_and_no_pretraining(
    labeled_cells: tuple[Project, Path],
) -> None:
    project, table = labeled_cells
    targets = ("select_all", "results/own/simclr/seed0/features/test/run.json")
    touched = project.forked_snakemake(
        "--cores", "1", *targets, "--touch", "--forcerun", "pretrain", "select", "gather_features"
    )
    assert touched.returncode == 0, touched.stdout + touched.stderr
    assert project.plan("select_all") == set()
    packed = {file.name: file.read_bytes() for file in (project.folder / "resources/own").glob("*.images.npy")}
    lines = table.read_text().splitlines()
    edited = [lines[0], *(line.replace(",,", ",new,") for line in lines[1:])]
    table.write_text("\n".join(f"{line},{'plate' if n == 0 else n % 3}" for n, line in enumerate(edited)))
    rules = project.planned_rules()
    assert {"label", "evaluate", "finetune", "tabulate_features"} <= rules
    assert not {"prepare", "pretrain", "select", "predict_features", "gather_features"} & rules
    project.config["pretrains"]["simclr"]["temperature"] = 0.3
    project.write_config()
    assert {"label", "pretrain", "select", "predict_features"} <= project.planned_rules()
    done = project.forked_snakemake("--cores", "1", "prepare_all", warm=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {file.name: file.read_bytes() for file in (project.folder / "resources/own").glob("*.images.npy")} == packed
    description = json.loads((project.folder / "resources/own/dataset.json").read_text())
    assert description["classes"] == ["a", "b", "new"] and description["splits"]["train"]["images"] == 80
    shutil.copy(project.folder / "resources/own/table.csv", project.folder / "again.csv")
    project.config["datasets"]["own"]["path"] = "again.csv"
    project.write_config()
    assert project.plan("prepare_all") == set(), "the table that label wrote stands for the one that it was made of"
