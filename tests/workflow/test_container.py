"""The steps in a real image, run by a real Snakemake, give the results that they give without."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from tests.image import IMAGE, needs_image

from .conftest import Project, made_once

needs_apptainer = pytest.mark.skipif(not shutil.which("apptainer"), reason="needs Apptainer")
APPTAINER = ["--profile", "workflow/profiles/workstation", "--software-deployment-method", "apptainer"]
RUN = "results/digits/simclr/seed0"
RECORDS = {
    "pretrain/run.json",
    "encoder/selection.json",
    "evaluate/knn.json",
    "evaluate/linear.json",
    "finetune/pretrained/metrics.json",
    "finetune/scratch/metrics.json",
    "features/test/run.json",
    "umap/quality.json",
}


@pytest.fixture(scope="module")
def contained(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which everything was made in the container."""

    def make(folder: Path) -> None:
        shutil.copytree(finished.folder, folder, symlinks=True)
        project = Project(folder)
        project.config["container"] = str(IMAGE)
        project.write_config()
        for name in ("resources", "results", "work", "logs"):
            shutil.rmtree(folder / name, ignore_errors=True)
        done = project.snakemake(*APPTAINER, "--cores", "2")
        assert done.returncode == 0, done.stdout + done.stderr

    return Project(made_once("contained", make, tmp_path_factory))


@needs_image
def test_every_step_ran_in_the_image(contained: Project) -> None:
    with IMAGE.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    for file in RECORDS:
        record = json.loads((contained.folder / RUN / file).read_text())
        image = record.get("run", record)["image"]
        assert image == {"file": str(IMAGE.resolve()), "sha256": digest}, file


@needs_image
def test_results_are_those_without_the_container(contained: Project, finished: Project) -> None:
    for file in ("encoder/encoder.safetensors", "finetune/pretrained/model.safetensors", "features/test/backbone.npy"):
        assert (contained.folder / RUN / file).read_bytes() == (finished.folder / RUN / file).read_bytes(), file
    inside, outside = (pd.read_csv(one.folder / "results/summary.csv") for one in (contained, finished))
    timed = inside["metric"].isin(["seconds", "images_per_second"])
    pd.testing.assert_frame_equal(inside[~timed], outside[~timed])


@needs_image
def test_caches_lie_in_the_work_folder_and_nothing_beside_it(contained: Project, finished: Project) -> None:
    assert {path.name for path in (contained.folder / "work/cache").iterdir()} >= {"matplotlib", "numba"}
    assert {path.name for path in contained.folder.iterdir()} <= {path.name for path in finished.folder.iterdir()}


@needs_image
def test_switching_the_container_on_or_off_plans_nothing(contained: Project, finished: Project) -> None:
    assert contained.plan() == set()
    assert finished.plan(*APPTAINER, "--config", f"container={IMAGE}") == set()


@needs_image
def test_image_holds_no_code_of_the_project(tmp_path: Path) -> None:
    command = ["apptainer", "exec", "--no-home", "--pwd", "/", str(IMAGE), "python", "-c", "import simclr_steps"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "No module named 'simclr_steps'" in done.stderr


def test_missing_image_stops_before_any_job(fresh: Project) -> None:
    done = fresh.snakemake(*APPTAINER, "--dry-run")
    assert done.returncode != 0
    assert "config error: container: containers/simclr.sif does not exist: make it with" in done.stdout + done.stderr


@pytest.fixture
def with_image(fresh: Project) -> Project:
    """A project in which nothing has run, and a file where the image should be."""
    (fresh.folder / "containers").mkdir()
    (fresh.folder / "containers/simclr.sif").touch()
    return fresh


@needs_apptainer
def test_gpu_that_the_container_would_not_see_stops_before_any_job(with_image: Project) -> None:
    asked = [*APPTAINER, "--dry-run", "--set-resources", "pretrain:gpu=1"]
    done = with_image.snakemake(*asked)
    assert done.returncode != 0
    assert "error: steps in the container would not see the GPU: add --nv" in done.stdout + done.stderr
    assert with_image.snakemake(*asked, "--apptainer-args=--nv").returncode == 0


@needs_apptainer
def test_image_whose_path_holds_a_space_stops_before_any_job(with_image: Project) -> None:
    image = with_image.folder / "an image.sif"
    image.touch()
    done = with_image.snakemake(*APPTAINER, "--dry-run", "--config", f"container={image}")
    assert done.returncode != 0
    assert f"config error: container: Snakemake can't start an image whose path holds a space, as does {image}" in (
        done.stdout + done.stderr
    )


@needs_apptainer
def test_data_that_the_container_would_not_see_stop_before_any_job(with_image: Project) -> None:
    data = Path.home()
    with_image.config["datasets"]["digits"] = {"source": "folder", "path": str(data), "image_size": 8}
    with_image.write_config()
    done = with_image.snakemake(*APPTAINER, "--dry-run")
    assert done.returncode != 0
    assert f"datasets.digits.path: the container does not see {data}: bind it" in done.stdout + done.stderr
    for binds in (["--apptainer-args", f"--nv --bind {data}"], [f"--apptainer-args=-B /srv,{data}:{data}:ro"]):
        assert with_image.snakemake(*APPTAINER, "--dry-run", *binds).returncode == 0
    assert with_image.snakemake(*APPTAINER, "--dry-run", APPTAINER_BIND=str(data)).returncode == 0
