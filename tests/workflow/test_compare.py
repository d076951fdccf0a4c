"""An encoder off the shelf is measured beside finished runs, of which none is evaluated again."""

import shutil

import pandas as pd
import pytest

from simclr_steps.files import checksum, read_json
from tests.workflow.conftest import Project


@pytest.mark.slow(30)
def test_a_changed_list_measures_what_is_new_and_its_figures_stand_in_the_summary(project: Project) -> None:
    run = project.folder / "results/digits/simclr/seed0"
    shutil.copy(run / "encoder/encoder.safetensors", project.folder / "mine.safetensors")
    assert "digits: no encoder off the shelf was compared" in (project.folder / "results/summary.md").read_text()
    project.config["compare"] = ["mine.safetensors"]
    project.write_config()
    assert project.plan() == {("compare", "digits", "file=mine"), ("summary",)}
    done = project.forked_snakemake("--cores", "2", warm=True)
    assert done.returncode == 0, done.stdout + done.stderr
    knn = read_json(project.folder / "results/digits/compare/file=mine/knn.json")
    assert knn["test"] == read_json(run / "evaluate/knn.json")["test"], "it is the same encoder"
    assert knn["architecture"]["started_from"]["sha256"] == checksum(project.folder / "mine.safetensors")
    table = pd.read_csv(project.folder / "results/summary.csv").query("metric == 'accuracy' and split == 'test'")
    for stage in ("knn", "linear"):
        values = table[table["stage"] == stage].groupby("input")["value"].mean()
        assert set(values.index) == {"simclr", "random", "pixels", "file mine.safetensors"}
        assert values["simclr"] == values["file mine.safetensors"]
    for file in ("summary.md", "summary.html"):
        text = (project.folder / "results" / file).read_text()
        assert "file mine.safetensors" in text and "no encoder off the shelf" not in text
    given = {**project.config["pretrains"]["simclr"], "init": "mine.safetensors"}
    project.config["pretrains"]["given"] = given
    project.config["experiments"].append({"dataset": "digits", "pretrain": "given"})
    project.write_config()
    place = "results/digits/given/seed0/pretrain"
    done = project.forked_snakemake("--cores", "2", place, warm=True)
    assert done.returncode == 0, done.stdout + done.stderr
    trained = read_json(project.folder / place / "run.json")
    its_hash = f"--weights-sha256 {checksum(project.folder / 'mine.safetensors')}"
    assert its_hash in trained["command"] and its_hash in knn["run"]["command"], "what was planned with is demanded"
    del project.config["pretrains"]["given"], project.config["experiments"][-1]
    project.write_config()
    shutil.copy(project.folder / "results/summary.md", project.folder / "mine.safetensors")
    assert project.planned_rules() == {"compare", "summary"}
