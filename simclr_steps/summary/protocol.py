"""What each step was asked to do: what differs from the defaults as a table, and all of it as a config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from simclr_steps.data.packed import Description
from simclr_steps.settings.base import Settings
from simclr_steps.settings.evaluation import EvaluationSettings
from simclr_steps.settings.explore import ExploreSettings
from simclr_steps.settings.finetune import FinetuneSettings
from simclr_steps.settings.labels import in_words
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.settings.runs import Run
from simclr_steps.settings.selection import SelectionSettings
from simclr_steps.settings.umap import UmapSettings
from simclr_steps.summary.run_results import RunResults
from simclr_steps.summary.tables import Table

_BLOCKS: dict[str, type[Settings]] = {  # whose defaults a step has, by stage
    "pretrain": PretrainSettings,
    "select": SelectionSettings,
    "knn": EvaluationSettings,
    "finetune": FinetuneSettings,
    "umap": UmapSettings,
    "explore": ExploreSettings,
}
STEPS = {"knn": "evaluate", "linear": "evaluate"}  # two files of one step


def protocol(run: RunResults) -> Table:
    """Return the settings of each step that differ from the defaults, as far as its record tells, below a header."""
    rows = []
    for stage, record in run.records.items():
        settings, block = record.get("settings") or {}, _BLOCKS.get(stage.split()[0])
        if block and settings:
            told = list(_differing(settings, block().model_dump(mode="json", exclude={"parent"})))
            if settings.get("parent"):
                told.insert(0, ("continue", f"{run.run.continues[-1]} after its {_epochs(settings['parent'])}", "none"))
            step = STEPS.get(stage, stage)
            rows += [[step, *one] for one in told] or [[step, "all", "as by default", ""]]
    return [["step", "setting", "value", "default"], *rows] if rows else []


def _differing(settings: Mapping[str, Any], defaults: Mapping[str, Any], block: str = "") -> Iterator[tuple[str, ...]]:
    """Yield name, value and default of the settings that have another value than the default, in words."""
    for key, default in defaults.items():
        value = settings.get(key, default)
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            yield from _differing(value, default, f"{key}.")
        elif value != default:
            yield f"{block}{key}", _told(key, value), _told(key, default)


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
    """Return the settings of all steps, by block.

    Where runs of a grid were given the hold-out in place of test, those of runs by themselves stand.
    """
    config: dict[str, Any] = {
        "datasets": {name: one.run.get("settings") for name, one in descriptions.items()},
        "pretrains": {},
        "finetunes": {},
    }
    blocks = {"select": "selection", "knn": "evaluation", "umap": "umap"}
    for run in sorted(runs, key=lambda one: one.run.judged_by == "test"):
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
    if umap := config.get("umap"):  # the display is the data set's, the columns are those of the block metadata
        config["umap"] = {key: umap[key] for key in umap if key not in ("display", "columns", "pictures")}
        config["page"] = {"pictures": umap.get("pictures", True)}
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
