"""What each step was asked to do: its main settings in a line, and all of them as a config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from simclr_steps.data.packed import Description
from simclr_steps.settings.labels import in_words
from simclr_steps.settings.runs import Run
from simclr_steps.summary.run_results import RunResults
from simclr_steps.summary.tables import Table

_PROTOCOL = {
    "pretrain": (
        "encoder",
        "init",
        "epochs",
        "global_batch_size",
        "temperature",
        "optimizer",
        "learning_rate",
        "learning_rate_scaling",
        "backbone_learning_rate_factor",
        "freeze_epochs",
        "warmup_epochs",
        "schedule",
        "augmentation",
    ),
    "select": ("criterion",),
    "knn": ("knn_neighbors", "labels", "draws", "augmentation"),
    "finetune": (
        "init",
        "freeze",
        "head",
        "labels",
        "draws",
        "epochs",
        "batch_size",
        "optimizer",
        "learning_rate",
        "layer_decay",
        "keep",
        "class_weights",
        "augmentation",
    ),
    "umap": ("split", "n_neighbors", "min_dist", "metric", "random_state", "supervised", "max_points"),
}
STEPS = {"knn": "evaluate", "linear": "evaluate"}  # two files of one step


def protocol(run: RunResults) -> Table:
    """Return what was done in each step, a row for each, as far as their records tell."""
    rows = []
    for stage, record in run.records.items():
        settings = record.get("settings") or {}
        keys = [key for key in _PROTOCOL.get(stage.split()[0], ()) if key in settings]
        if keys:
            told = [f"{key.replace('_', ' ')} {_told(key, settings[key])}" for key in keys]
            if settings.get("parent"):
                told.insert(0, f"continues {run.run.continues[-1]} after its {_epochs(settings['parent'])}")
            rows.append([STEPS.get(stage, stage), "; ".join(told)])
    return rows


def _epochs(settings: Mapping[str, Any]) -> str:
    """Return how many epochs a pretraining and those that it continues took."""
    count, parent = int(settings["epochs"]), settings.get("parent")
    while parent:
        count, parent = count + int(parent["epochs"]), parent.get("parent")
    return f"{count} epoch{'s' * (count != 1)}"


def _told(key: str, value: Any) -> str:
    """Return the value of a setting in words."""
    if key == "labels" and value != "auto":
        return ", ".join(map(in_words, value if isinstance(value, list) else [value]))
    return plain(value)


def plain(value: Any) -> str:
    """Return a setting in words."""
    if isinstance(value, dict):
        return ", ".join(f"{key.replace('_', ' ')} {plain(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(plain, value))
    if value is None or isinstance(value, bool):
        return "yes" if value else "no" if value is False else "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def as_config(runs: Sequence[RunResults], descriptions: Mapping[str, Description]) -> dict[str, Any]:
    """Return the settings of all steps, by block."""
    config: dict[str, Any] = {
        "datasets": {name: one.run.get("settings") for name, one in descriptions.items()},
        "pretrains": {},
        "finetunes": {},
    }
    blocks = {"select": "selection", "knn": "evaluation", "umap": "umap"}
    for run in runs:
        for stage, record in run.records.items():
            settings = record.get("settings")
            if stage == "pretrain":
                config["pretrains"] |= _pretrains(run.run, settings or {})
            elif stage.startswith("finetune "):
                block = {key: value for key, value in (settings or {}).items() if key != "network"}  # a pretraining's
                config["finetunes"][stage.removeprefix("finetune ")] = block
            elif stage == "metadata":
                config["metadata"] = (settings or {}).get("columns")
            elif stage in blocks:
                config[blocks[stage]] = settings
        if shown := ((run.records.get("umap") or {}).get("settings") or {}).get("display"):
            config["datasets"][run.run.dataset] = {**config["datasets"][run.run.dataset], "display": shown}
    if config.get("umap"):  # the display is the data set's, the columns are those of the block metadata
        config["umap"] = {key: value for key, value in config["umap"].items() if key not in ("display", "columns")}
    config["runs"] = [run.run.model_dump(mode="json") for run in runs]
    return config


def _pretrains(run: Run, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a pretraining and those that it continues as blocks of a config, given its settings."""
    blocks: dict[str, Any] = {}
    names: list[str] = [run.pretrain, *reversed(run.continues)]
    for name, parent in zip(names, [*names[1:], None], strict=True):
        own = {key: value for key, value in settings.items() if key != "parent"}
        blocks[name] = {**own, "continue": parent} if parent else own
        settings = settings.get("parent") or {}
    return blocks
