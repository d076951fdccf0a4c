"""Results that were copied here without .snakemake are used if they are what the config asks for, and only then."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.workflow.conftest import Project

RUN = "results/digits/simclr/seed0"


@pytest.fixture
def copied(project: Project) -> Project:
    """The finished project as a copy without Snakemake's notes."""
    shutil.rmtree(project.folder / ".snakemake")
    return project


def test_results_of_the_same_config_plan_nothing(copied: Project) -> None:
    assert copied.plan() == set()


def test_a_changed_setting_stops_before_any_job_and_the_suggested_option_reruns_it(copied: Project) -> None:
    copied.config["umap"]["n_neighbors"] = 7
    copied.write_config()
    for arguments in (["--dry-run"], []):
        done = copied.forked_snakemake("--cores", "2", *arguments)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1] == (
            f"error: {RUN}/umap/quality.json were made with different settings, code, images or weights, which "
            "Snakemake cannot see, as .snakemake has no record of them: recreate them by adding -R umap, or "
            "move them away"
        )
        assert "rule umap" not in done.stderr
    assert copied.planned_rules("-R", "umap") == {"umap", "summary"}


def test_other_code_and_other_images_stop_too(copied: Project) -> None:
    copied.edit("simclr_steps/evaluation/neighbors.py", "2**26", "2**25")
    done = copied.dry_run("--cores", "2")
    assert f"{RUN}/encoder/selection.json" in done.stderr or f"{RUN}/evaluate/knn.json" in done.stderr
    copied.edit("simclr_steps/evaluation/neighbors.py", "2**25", "2**26")
    for name, key in (("images.json", "pixel_hash"), ("dataset.json", "content_hash")):
        described = copied.folder / "resources/digits" / name
        described.write_text(json.dumps({**json.loads(described.read_text()), key: "of other images"}))
    done = copied.dry_run("--cores", "2")
    assert done.returncode == 1
    assert f"error: {RUN}/pretrain/run.json, {RUN}/encoder/selection.json, {RUN}/evaluate/knn.json and 11 more" in (
        done.stderr
    )
    assert (
        "-R pretrain select evaluate umap galleries explore gather_features finetune gather_predictions compare"
        in done.stderr
    )


def test_results_that_snakemake_knows_are_not_checked(project: Project) -> None:
    project.config["umap"]["n_neighbors"] = 7
    project.write_config()
    assert project.planned_rules() == {"umap", "summary"}
