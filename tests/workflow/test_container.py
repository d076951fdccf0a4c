"""The steps in a real image, run by a real Snakemake, give the results that they give without."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from simclr_steps import __version__
from simclr_steps.files import read_json
from tests.image import IMAGE, needs_image
from tests.layout import assert_results
from tests.workflow.conftest import ROOT, Project, made_once, new_project

pytestmark = pytest.mark.timeout(1800)  # some wait until others have made a whole project in the container
needs_apptainer = pytest.mark.skipif(not shutil.which("apptainer"), reason="needs Apptainer")
APPTAINER = ["--profile", "workflow/profiles/workstation", "--software-deployment-method", "apptainer"]
RUN = "results/digits/simclr/seed0"
RECORDING = {
    *("download", "prepare", "label", "pretrain", "select", "compare", "evaluate", "finetune"),
    *("gather", "umap", "galleries", "explore"),
}


@pytest.fixture(scope="module")
def contained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that was made whole in the container, and by root without network."""

    def make(folder: Path) -> None:
        project = new_project(folder)
        project.config["container"] = str(IMAGE)
        project.config["explore"]["splits"] = ["test"]
        project.config["experiments"][0]["finetunes"] = ["pretrained"]
        project.write_config()
        prefix = ["unshare", "--net"] if os.geteuid() == 0 else []
        done = project.snakemake(*APPTAINER, "--cores", "2", prefix=prefix)
        assert done.returncode == 0, done.stdout + done.stderr
        (folder / "logs/snakemake.txt").write_text(done.stdout + done.stderr)

    return Project(made_once("contained", make, tmp_path_factory))


@pytest.mark.slow(70)
@needs_image
def test_every_rule_starts_the_image(contained: Project) -> None:
    said = (contained.folder / "logs/snakemake.txt").read_text()
    rules = re.findall(r"^(?:local)?rule (\w+):", said, re.MULTILINE)
    assert said.count(f"Activating singularity image {IMAGE.resolve()}") == len(rules) - 1 > 15  # but for all
    assert_results(contained.folder / RUN, ["pretrained"])


@pytest.mark.slow(70)
@needs_image
def test_results_are_those_without_the_container(contained: Project, finished: Project) -> None:
    umap, classifier = "umap/backbone.csv", "finetune/pretrained/model.safetensors"
    for file in ("encoder/encoder.safetensors", "features/test/backbone.npy", umap, classifier):
        assert (contained.folder / RUN / file).read_bytes() == (finished.folder / RUN / file).read_bytes(), file


@pytest.mark.slow(70)
@needs_image
def test_every_step_records_the_image(contained: Project) -> None:
    files = [*(contained.folder / "resources").rglob("*.json"), *(contained.folder / "results").rglob("*.json")]
    records = [content.get("run", content) for content in map(read_json, files)]
    records = [record for record in records if "image" in record]
    with IMAGE.open("rb") as stream:
        image = {"file": str(IMAGE.resolve()), "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}
    assert all(record["image"] == image for record in records)
    assert {record["step"] for record in records} >= RECORDING


@pytest.mark.slow(70)
@needs_image
def test_caches_lie_in_the_work_folder_and_nothing_beside_it(contained: Project, finished: Project) -> None:
    assert {path.name for path in (contained.folder / "work/cache").iterdir()} >= {"matplotlib", "numba"}
    assert {path.name for path in contained.folder.iterdir()} <= {path.name for path in finished.folder.iterdir()}


@pytest.mark.slow(70)
@needs_image
def test_switching_the_container_on_or_off_plans_nothing(contained: Project, finished: Project) -> None:
    assert contained.plan() == set()
    assert finished.plan(*APPTAINER, "--config", f"container={IMAGE}") == set()


@pytest.mark.slow  # as CI makes the image while the fast tests run
@needs_image
def test_image_is_named_and_labeled_after_what_it_is_made_of() -> None:
    command = ["apptainer", "inspect", "--json", "--labels", str(IMAGE)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    labels = json.loads(done.stdout)["data"]["attributes"]["labels"]
    lock, definition = ((ROOT / name).read_bytes() for name in ("requirements.lock", "containers/simclr.def"))
    assert labels["simclr.version"] == __version__
    assert labels["simclr.lock"] == hashlib.sha256(lock).hexdigest()[:12]
    made_of = hashlib.sha256(lock + definition + labels["simclr.base"].encode() + b"\n").hexdigest()[:12]
    assert IMAGE.resolve().name == f"simclr-{__version__}-{made_of}.sif"


@pytest.mark.slow  # as above
@needs_image
def test_image_holds_no_code_of_the_project(tmp_path: Path) -> None:
    command = ["apptainer", "exec", "--no-home", "--pwd", "/", str(IMAGE), "python", "-c", "import simclr_steps"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "No module named 'simclr_steps'" in done.stderr


def test_missing_image_stops_before_any_job(fresh: Project) -> None:
    done = fresh.dry_run(*APPTAINER)
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
    asked = [*APPTAINER, "--set-resources", "pretrain:gpu=1"]
    done = with_image.dry_run(*asked)
    assert done.returncode != 0
    assert "error: steps in the container would not see the GPU: add --nv" in done.stdout + done.stderr
    assert with_image.dry_run(*asked, "--apptainer-args=--nv").returncode == 0


@needs_apptainer
def test_image_whose_path_holds_a_space_stops_before_any_job(with_image: Project) -> None:
    image = with_image.folder / "an image.sif"
    image.touch()
    done = with_image.dry_run(*APPTAINER, "--config", f"container={image}")
    assert done.returncode != 0
    assert (
        f"config error: container: Snakemake can't start an image whose path contains a space: move or rename {image}"
        in (done.stdout + done.stderr)
    )


@needs_apptainer
def test_a_number_of_gpus_that_is_computed_needs_the_gpu_seen_too(with_image: Project) -> None:
    asked = [*APPTAINER, "--set-resources", "pretrain:gpu=attempt"]
    assert "add --nv" in with_image.dry_run(*asked).stderr
    assert with_image.dry_run(*asked, "--apptainer-args=--nv").returncode == 0


@pytest.fixture
def outside() -> Iterator[Path]:
    """A folder that the container does not see, with an image and a table that names it."""
    with tempfile.TemporaryDirectory(dir=Path.home()) as name:
        folder = Path(name) / "data"
        (folder / "cat").mkdir(parents=True)
        Image.new("L", (8, 8)).save(folder / "cat/1.png")
        (folder / "table.csv").write_text("path,label,split\ncat/1.png,cat,train\n")
        yield folder


def refusal(project: Project, path: Path, *options: str, **environment: str) -> str:
    """Return why Snakemake plans nothing with the data at this place; nothing if it does."""
    project.config["datasets"]["digits"] = {"source": "folder", "path": str(path), "image_size": 8}
    project.write_config()
    done = project.dry_run(*APPTAINER, *options, **environment)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@needs_apptainer
def test_data_that_the_container_would_not_see_stop_before_any_job(with_image: Project, outside: Path) -> None:
    sentence = f"datasets.digits.path: the container does not see {outside}: bind it"
    assert sentence in refusal(with_image, outside)
    assert sentence in refusal(with_image, outside / "table.csv", f"--apptainer-args=--bind {outside / 'table.csv'}")
    assert sentence in refusal(with_image, outside, f"--apptainer-args=--bind {outside}:/mnt")
    assert sentence in refusal(with_image, outside, f"--apptainer-args=--mount type=bind,src={outside},dst=/mnt")


@needs_apptainer
@pytest.mark.parametrize(
    "binds",
    ["--nv --bind {0}", "--bind={0}", "-B /srv,{0}:{0}:ro", "-B{0}", "--mount type=bind,source={0},destination={0},ro"],
)
def test_data_that_the_container_sees_are_not_refused(with_image: Project, outside: Path, binds: str) -> None:
    assert refusal(with_image, outside / "table.csv", f"--apptainer-args={binds.format(outside)}") == ""


@needs_apptainer
def test_data_that_the_environment_binds_are_not_refused(with_image: Project, outside: Path) -> None:
    assert refusal(with_image, outside, APPTAINER_BIND=str(outside)) == ""
