"""A mistake in the config stops Snakemake before anything runs, with one sentence."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.workflow.conftest import ROOT, Project, new_project


def refuse(project: Project, *arguments: str) -> str:
    done = project.forked_snakemake("--cores", "1", *arguments)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert not (project.folder / "resources").exists()
    lines = [line for line in done.stderr.splitlines() if not line.startswith(("Using workflow", "Config file"))]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("config error: ")
    return lines[0]


def put(config: dict[str, Any], path: str, value: Any) -> None:
    *parents, key = path.split(".")
    for parent in parents:
        config = config[parent] if not isinstance(config, list) else config[int(parent)]
    config[key] = value


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("pretrain", {}, 'unknown key "pretrain"; did you mean "pretrains"?'),
        ("pretrains.simclr.temperature", 0, "pretrains.simclr.temperature: 0 is wrong: it must be greater than 0"),
        (
            "pretrains.simclr.epochs",
            -3,
            "epochs: -3 is wrong: it must be a whole number above 0, or auto",
        ),
        (
            "pretrains.simclr.epochs",
            "many",
            'epochs: "many" is wrong: it must be a whole number above 0, or auto',
        ),
        ("pretrains.simclr.encoder", "resnet19", 'MODULE:FUNCTION; did you mean "resnet18"?'),
        ("finetunes.scratch.labels", 1.5, "finetunes.scratch.labels: 1.5 is wrong"),
        ("experiments.0.seeds", [], "experiments.0.seeds: [] is wrong: it must contain at least 1"),
        (
            "datasets.digits",
            {"source": "torchvision", "name": "MNIST", "mirrors": ["ftp://here"]},
            'datasets.digits.mirrors.0: "ftp://here" is wrong: it must begin with https://, http:// or file://',
        ),
        (
            "metadata",
            ["plate"],
            "metadata: datasets.digits has no table and so no columns: give a CSV file as its path",
        ),
        ("datasets.digits", {"source": "arrays", "path": "\x1b.npz"}, r"datasets.digits.path: \x1b.npz does not exist"),
    ],
)
def test_mistake_is_one_sentence_before_anything_runs(path: str, value: Any, sentence: str, fresh: Project) -> None:
    put(fresh.config, path, value)
    fresh.write_config()
    assert sentence in refuse(fresh)


def test_experiment_that_names_no_block_is_refused(fresh: Project) -> None:
    fresh.config["experiments"][0]["dataset"] = "digit"
    fresh.write_config()
    assert 'there is no block "digit" in datasets; did you mean "digits"?' in refuse(fresh)


def test_a_tag_that_timm_does_not_know_is_told_before_anything_runs(fresh: Project) -> None:
    put(fresh.config, "compare", ["timm:resnet18.a1_in1"])
    fresh.write_config()
    done = fresh.forked_snakemake("--cores", "1")
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    sentence = done.stderr.splitlines()[-1]
    assert sentence.startswith("config error: compare.0: timm ") and 'did you mean "resnet18.a1_in1k"' in sentence
    assert not (fresh.folder / "resources").exists()


def test_missing_config_is_named(fresh: Project) -> None:
    (fresh.folder / "config/config.yaml").unlink()
    assert "create config/config.yaml, or pass a file with --configfile" in refuse(fresh)


def test_config_that_is_not_yaml_is_reported_with_the_line(fresh: Project) -> None:
    (fresh.folder / "config/config.yaml").write_text("datasets:\n  digits: {source: digits}\n\tpretrains: {}\n")
    assert "config error: config/config.yaml is not valid YAML, line 3 (found character" in refuse(fresh)


@pytest.mark.parametrize("arguments", [(), ("--configfile", "my.yaml")])
def test_key_that_is_there_twice_is_named_with_its_lines(arguments: tuple[str, ...], fresh: Project) -> None:
    name = arguments[-1] if arguments else "config/config.yaml"
    text = (fresh.folder / "config/config.yaml").read_text()
    (fresh.folder / name).write_text(f"{text}datasets: {{}}\n")
    assert text.startswith("datasets:")
    lines = f"lines 1 to {len(text.splitlines()) + 1}"
    said = refuse(fresh, *arguments)
    assert f'config error: {name} is not valid YAML, {lines} (the key "datasets" appears twice): fix it' in said


def test_wrong_value_on_the_command_line_is_named(fresh: Project) -> None:
    assert "umap.n_neighbors: 1 is wrong" in refuse(fresh, "--config", "umap={n_neighbors: 1}")


def test_value_on_the_command_line_that_is_no_yaml_is_named(fresh: Project) -> None:
    said = refuse(fresh, "--config", 'datasets={digits: {path: "@data"}}')
    assert "config error: --config: @data is not valid YAML" in said


def test_more_gpus_for_a_job_than_for_all_jobs_are_refused_before_anything_runs(fresh: Project) -> None:
    asked = ("--profile", str(ROOT / "workflow/profiles/workstation"), "--set-resources", "pretrain:gpu=4")
    done = fresh.dry_run(*asked)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "error: pretrain asks for 4 GPUs, but jobs may use 1: add --resources gpu=4, or raise" in done.stderr
    allowed = fresh.dry_run("--printshellcmds", *asked, "--resources", "gpu=4")
    assert allowed.returncode == 0, allowed.stderr
    assert "--gpus 4 --processes 1" in allowed.stdout


def test_only_a_gpu_that_somebody_asked_for_is_insisted_on(fresh: Project) -> None:
    """One that the machine seems to have is left to the step, which sees whether torch can use it."""
    asked = ("--cores", "1", "--printshellcmds", "pretrain_all")
    guessed = fresh.dry_run(*asked, CUDA_VISIBLE_DEVICES="0").stdout
    assert "--processes 1" in guessed
    assert "--gpus" not in guessed
    by_user = fresh.dry_run(*asked, "--set-resources", "pretrain:gpu=1", CUDA_VISIBLE_DEVICES="0").stdout
    assert "--gpus 1 --processes 1" in by_user
    assert "--gpus 0 --processes 1" in fresh.dry_run(*asked, CUDA_VISIBLE_DEVICES="").stdout


def test_a_folder_whose_path_python_cannot_search_is_told_before_anything_runs(tmp_path: Path) -> None:
    done = new_project(tmp_path / "a:b").dry_run("--cores", "1")
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    sentence = done.stderr.splitlines()[-1]
    assert re.match('error: Python cannot search the folder /.*, whose path contains ":": move or rename ', sentence)
