"""A mistake in the config stops Snakemake before anything runs, with one sentence."""

from typing import Any

import pytest

from .conftest import Project


def refuse(project: Project, *arguments: str) -> str:
    done = project.snakemake("--cores", "1", *arguments)
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
        ("pretrains.simclr.epochs", -3, "pretrains.simclr.epochs: -3 is wrong: it must be greater than 0"),
        ("pretrains.simclr.epochs", "many", 'pretrains.simclr.epochs: "many" is wrong: it must be a valid integer'),
        ("pretrains.simclr.encoder", "resnet19", 'MODULE:FUNCTION; did you mean "resnet18"?'),
        ("finetunes.scratch.labels", 1.5, "finetunes.scratch.labels: 1.5 is wrong"),
        ("datasets.digits", {"source": "arrays", "path": "none.npz"}, "datasets.digits.path: none.npz does not exist"),
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


def test_missing_config_is_named(fresh: Project) -> None:
    (fresh.folder / "config/config.yaml").unlink()
    assert "write config/config.yaml, or name a file with --configfile" in refuse(fresh)


def test_wrong_value_on_the_command_line_is_named(fresh: Project) -> None:
    assert "umap.n_neighbors: 1 is wrong" in refuse(fresh, "--config", "umap={n_neighbors: 1}")
