"""A change reruns exactly what depends on it: files are edited, and dry runs tell what would run."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.layout import SCRATCH, assert_results
from tests.workflow.conftest import Project

AFTER_ENCODER = {
    "evaluate",
    "finetune",
    "predict_features",
    "gather_features",
    "tabulate_features",
    "predict_classifier",
    "gather_predictions",
    "umap",
    "explore",
    "galleries",
    "summary",
}
SEED = {"pretrain", "select", *AFTER_ENCODER}
NEW_SEED = {"compare", *SEED}  # with random weights of its own
ALL = {"download", "prepare", "label", *NEW_SEED}


def test_whole_run_leaves_the_files_of_the_results_layout(finished: Project) -> None:
    run = finished.folder / "results/digits/simclr/seed0"
    assert_results(run, ["pretrained"], shared=["scratch"])
    plots = ("label_efficiency", "history", "monitors", "confusion", "mistakes", "finetune_history")
    for file in ("summary.csv", "summary.md", "summary.html", "summary/run.json", *(f"summary/{n}.svg" for n in plots)):
        assert (finished.folder / "results" / file).stat().st_size > 0, file
    assert not list(run.rglob("parts"))
    assert (finished.folder / "logs/digits/simclr/seed0/pretrain.log").stat().st_size > 0
    assert (finished.folder / "benchmarks/digits/simclr/seed0/pretrain.tsv").exists()


def test_finished_run_plans_nothing(finished: Project) -> None:
    assert finished.plan() == set()


def test_umap_setting_plans_umap_and_summary(project: Project) -> None:
    project.config["umap"]["n_neighbors"] = 7
    project.write_config()
    assert project.planned_rules() == {"umap", "summary"}


def test_explore_setting_plans_explore_and_the_features_of_further_splits(project: Project) -> None:
    project.config["explore"]["min_cosine"] = 0.9
    project.write_config()
    assert project.planned_rules() == {"explore", "summary"}
    project.config["explore"]["splits"] = ["train", "validation", "test"]
    project.write_config()
    run = ("digits", "simclr", "0")
    features = {(rule, *run, "validation") for rule in ("predict_features", "gather_features", "tabulate_features")}
    assert project.plan() == {("explore", *run), *features, ("summary",)}
    of_classifier = ("digits", "simclr/seed0", "pretrained")
    without_neighbors = {("predict_classifier", *of_classifier, "test"), ("gather_predictions", *of_classifier)}
    project.config["explore"]["splits"] = ["validation", "test"]
    project.write_config()
    assert project.plan() == {("explore", *run), *features, *without_neighbors, ("summary",)}
    project.config["explore"]["splits"] = []
    project.write_config()
    assert project.plan() == {*without_neighbors, ("summary",)}


def test_further_splits_plan_their_predictions_and_no_training(project: Project) -> None:
    project.config["prediction"] = {"splits": ["test", "unlabeled"]}
    project.write_config()
    classifiers = (("digits", "simclr/seed0", "pretrained"), ("digits", SCRATCH, "scratch"))
    steps = (("predict_classifier", "train"), ("gather_further_predictions", "unlabeled"))
    predictions = {(rule, *classifier, split) for rule, split in steps for classifier in classifiers}
    assert project.plan() == {*predictions, ("take_unlabeled", "digits", "simclr", "0"), ("summary",)}


def test_finetune_block_plans_its_finetuning_and_what_follows(project: Project) -> None:
    project.config["finetunes"]["scratch"]["learning_rate"] = 0.02
    project.write_config()
    scratch = ("digits", SCRATCH, "scratch")
    follows = {("finetune", *scratch), ("predict_classifier", *scratch, "test"), ("gather_predictions", *scratch)}
    assert project.plan() == {*follows, ("summary",)}


def test_other_labels_to_finetune_on_plan_no_pretraining(project: Project) -> None:
    project.config["finetunes"]["scratch"]["labels"] = 30
    project.write_config()
    assert project.planned_rules() == {"finetune", "predict_classifier", "gather_predictions", "summary"}


def test_pretrain_block_plans_everything_but_the_data_and_training_from_scratch(project: Project) -> None:
    project.config["pretrains"]["simclr"]["temperature"] = 0.3
    project.write_config()
    jobs = project.plan()
    assert {job[0] for job in jobs} == SEED
    assert not any("scratch" in job for job in jobs), "it depends on the network only"


def test_new_seed_plans_its_chain_and_the_summary(project: Project) -> None:
    project.config["experiments"][0]["seeds"] = [0, 1]
    project.write_config()
    jobs = project.plan()
    assert {job[0] for job in jobs} == NEW_SEED
    own = jobs - {("summary",), ("compare", "digits", "random-mine=without_batch_norm-seed1")}
    assert all("1" in job or job[2].endswith("seed1") for job in own)


def test_dataset_setting_plans_all_but_the_download(project: Project) -> None:
    project.config["datasets"]["digits"]["split_seed"] = 1
    project.write_config()
    assert project.planned_rules() == ALL - {"download"}


def test_channels_to_show_plan_only_what_draws(project: Project) -> None:
    project.config["datasets"]["digits"]["display"] = {"0": "green"}
    project.write_config()
    assert project.planned_rules() == {"umap", "explore", "galleries", "summary"}


def test_comment_docstring_or_layout_of_the_code_plans_nothing(project: Project) -> None:
    for module in ("steps/pretrain", "steps/umap", "data/packed"):
        file = project.folder / f"simclr_steps/{module}.py"
        file.write_text(file.read_text().replace('"""', '"""Reworded: ', 1) + "\n\n# A comment.\n")
    project.edit("workflow/rules/features.smk", "rule umap:", "# A comment.\nrule umap:")
    project.edit("workflow/rules/features.smk", "--settings {params.settings:q}", "--settings  {params.settings:q}")
    assert project.plan() == set()


@pytest.mark.parametrize(
    ("step", "rules"),
    [
        ("umap", {"umap", "summary"}),
        ("galleries", {"galleries", "summary"}),
        ("explore", {"explore", "summary"}),
        ("evaluate", {"evaluate", "summary"}),
        ("compare", {"compare", "summary"}),
        ("finetune", {"finetune", "predict_classifier", "gather_predictions", "summary"}),
        (
            "predict",
            set(AFTER_ENCODER) - {"evaluate", "finetune"},
        ),
        ("pretrain", SEED),
    ],
)
def test_code_of_a_step_plans_the_step_and_what_follows(step: str, rules: set[str], project: Project) -> None:
    file = project.folder / f"simclr_steps/steps/{step}.py"
    file.write_text(file.read_text() + "\n\nCHANGED = True\n")
    assert project.planned_rules() == rules


def test_code_that_changes_no_result_plans_nothing(project: Project) -> None:
    machine = [f"machine/{name}" for name in ("gpus", "logs", "options", "provenance")]
    for module in ("cli/table", *machine, "settings/reading"):
        file = project.folder / f"simclr_steps/{module}.py"
        file.write_text(file.read_text() + "\n\nCHANGED = True\n")
    assert project.plan() == set()


@pytest.mark.parametrize(
    ("file", "rules"),
    [
        ("methods/loss.py", SEED),
        ("figures/scatter.py", {"umap", "summary"}),
        ("figures/thumbnails.py", {"umap", "explore", "galleries", "summary"}),
        ("figures/picture_page.html.j2", {"explore", "summary"}),
        ("figures/map_page.js.j2", {"umap", "summary"}),
        ("summary/tables.py", {"summary"}),
        ("summary/page.html.j2", {"summary"}),
    ],
)
def test_code_behind_a_step_plans_the_step_and_what_follows(file: str, rules: set[str], project: Project) -> None:
    path = project.folder / "simclr_steps" / file
    path.write_text(path.read_text() + "\n\nCHANGED = True\n")
    assert project.planned_rules() == rules


@pytest.mark.slow
def test_code_of_an_own_encoder_or_augmentation_plans_its_pretraining_and_a_comment_in_it_nothing(
    fresh: Project,
) -> None:
    (fresh.folder / "halves.py").write_text("def darken(views, keys):\n    return views / 2\n")
    fresh.config["pretrains"]["simclr"]["augmentation"] = {"own": "halves:darken"}
    fresh.write_config()
    done = fresh.forked_snakemake("--cores", "2", "pretrain_all", warm=True)
    assert done.returncode == 0, done.stdout + done.stderr
    fresh.edit("mine.py", "    return nn.Sequential(", "    # A comment.\n    return nn.Sequential(")
    fresh.edit("halves.py", "views / 2", "views / 2  # a comment")
    assert fresh.plan("pretrain_all") == set()
    fresh.edit("halves.py", "views / 2", "views / 3")
    assert fresh.planned_rules("pretrain_all") == {"pretrain", "pretrain_all"}
    fresh.edit("halves.py", "views / 3", "views / 2")
    assert fresh.plan("pretrain_all") == set()
    fresh.edit("mine.py", "nn.GroupNorm(2, 8)", "nn.GroupNorm(4, 8)")
    assert fresh.planned_rules("pretrain_all") == {"pretrain", "pretrain_all"}


def test_hardware_plans_nothing(project: Project) -> None:
    resources = ("gpu=2", "processes=2", "workers=2", "compile=never", "save_minutes=5", "logger=my_loggers:wandb")
    options = ("--set-threads", "pretrain=1", "umap=2", "--set-resources", *(f"pretrain:{one}" for one in resources))
    assert project.plan("--cores", "1", "--resources", "gpu=3", *options) == set()
    assert project.plan("--profile", "workflow/profiles/workstation", CUDA_VISIBLE_DEVICES="0") == set()


def test_project_that_was_moved_plans_nothing(project: Project) -> None:
    moved = project.folder.rename(project.folder.with_name("elsewhere"))
    assert Project(moved).plan() == set()


@pytest.mark.slow
def test_mirror_or_place_of_the_same_originals_plans_nothing_and_another_set_all(
    fresh: Project, originals: Path
) -> None:
    block = {"source": "torchvision", "name": "MNIST", "path": str(originals), "subset": 20}
    fresh.config["datasets"] = {"mnist": block}
    fresh.config["experiments"] = [{"dataset": "mnist", "pretrain": "simclr"}]
    fresh.write_config()
    done = fresh.forked_snakemake("--cores", "2", "prepare_all", warm=True)
    assert done.returncode == 0, done.stdout + done.stderr
    moved = fresh.folder / "moved"
    moved.symlink_to(originals)
    for changed in ({"path": str(moved)}, {"path": None}, {"mirrors": ["file:///srv/mirror"]}):
        fresh.config["datasets"]["mnist"] = block | changed
        fresh.write_config()
        assert fresh.planned_rules("prepare_all") == set(), changed
    fresh.config["datasets"]["mnist"] = block | {"name": "KMNIST"}
    fresh.write_config()
    assert fresh.planned_rules("prepare_all") == {"download", "prepare", "label", "prepare_all"}


def test_clock_that_jumped_during_the_download_stops_nothing_and_plans_nothing(fresh: Project) -> None:
    """Snakemake deletes outputs that are older than an input."""
    assert fresh.forked_snakemake("--cores", "1", "download_all", warm=True).returncode == 0
    later = time.time() + 3600
    os.utime(fresh.folder / "resources/digits/originals.json", (later, later))
    done = fresh.forked_snakemake("--cores", "1", "prepare_all", warm=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning: the clock was wrong: 1 result files" in done.stderr
    assert fresh.plan("prepare_all") == set()


@pytest.fixture
def packed_photos(fresh: Project, write_images: Callable[[str, str], Path]) -> tuple[Project, Path]:
    """A project that packed a folder of photographs, and the folder."""
    for name in ("a.jpg", "deep/er/b.jpg", "c.jpg", "d.jpg"):
        write_images("cat", name)
        photos = write_images("dog", f"{{curly}}/{name}").parents[2 + name.count("/")]
    fresh.config["datasets"] = {
        "own": {"source": "folder", "path": str(photos), "image_size": 16, "test_fraction": 0.5}
    }
    fresh.config["experiments"][0]["dataset"] = "own"
    fresh.write_config()
    before = sorted(photos.rglob("*"))
    done = fresh.forked_snakemake("--cores", "2", "prepare_all", warm=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(photos.rglob("*")) == before  # nothing of ours in the user's folder
    assert fresh.planned_rules("prepare_all") == set()
    return fresh, photos


def test_image_that_is_added_or_overwritten_plans_prepare(
    packed_photos: tuple[Project, Path], write_images: Callable[[str, str], Path]
) -> None:
    project, _ = packed_photos
    added = write_images("cat", "deep/er/still/e.jpg")
    assert project.planned_rules("prepare_all") == {"prepare", "label", "prepare_all"}
    added.unlink()
    assert project.planned_rules("prepare_all") == set()
    write_images("cat", "deep/er/b.jpg")
    assert project.planned_rules("prepare_all") == {"prepare", "label", "prepare_all"}
    shutil.rmtree(project.folder / ".snakemake")  # as in a copy
    done = project.dry_run("--cores", "1", "prepare_all")
    assert "error: resources/own/images.json were made with different settings, code, images or weights" in done.stderr


def test_file_that_is_no_image_plans_nothing(packed_photos: tuple[Project, Path]) -> None:
    project, photos = packed_photos
    for name in (".DS_Store", "cat/.DS_Store", "cat/deep/notes.txt"):
        (photos / name).touch()
    assert project.planned_rules("prepare_all") == set()
