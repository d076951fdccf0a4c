"""Results that Snakemake has no note of, as they were copied here without .snakemake.

Snakemake would never rerun anything for their settings, code and images, as it does not know with which they were made.
Their own records do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simclr_steps.files import read_json
from simclr_steps.machine.code_hash import code_hash
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.plan import Plan

_NAMED = 3  # results in the sentence


@dataclass(frozen=True)
class Result:
    """One result that a config asks for."""

    rule: str
    record: str  # the file that holds the record of what made it, below the workflow's folder
    settings: Mapping[str, Any]  # with which it should have been made
    output: str = ""  # by which Snakemake knows it, where that is not the record
    dataset: str = ""  # whose images it was made of

    @property
    def step(self) -> str:
        """The step that makes it."""
        return "summarize" if self.rule == "summary" else self.rule


def results(plan: Plan) -> Iterator[Result]:
    """Yield each result of a plan that has a record."""
    config = plan.config
    for name in plan.datasets:
        yield Result("prepare", f"resources/{name}/dataset.json", plan.packed(name))
    for run in plan.runs:
        folder, pretrain = f"results/{run.folder}", plan.pretrains[run.pretrain]
        of_step = {
            "select": ("encoder/selection.json", config.selection),
            "evaluate": ("evaluate/knn.json", config.evaluation),
            "umap": ("umap/quality.json", plan.umap(run.dataset)),
            "galleries": ("galleries/run.json", plan.gallery(run.dataset, run.pretrain)),
        }
        trained = pretrain.model_dump(mode="json")
        yield Result("pretrain", f"{folder}/pretrain/run.json", trained, f"{folder}/pretrain", run.dataset)
        for rule, (file, block) in of_step.items():
            yield Result(rule, f"{folder}/{file}", block.model_dump(mode="json"), dataset=run.dataset)
        for name in run.finetunes:
            tuned = config.finetunes[name].model_dump(mode="json")
            yield Result("finetune", f"{folder}/finetune/{name}/metrics.json", tuned, dataset=run.dataset)
    for name in plan.datasets:
        for other, compared in plan.all_compared(name).items():
            settings = compared.model_dump(mode="json")
            yield Result("compare", f"results/{name}/compare/{other}.json", settings, dataset=name)
    yield Result("summary", "results/summary/run.json", plan.summary.model_dump(mode="json"))


def check_adopted(plan: Plan, place: Callable[[str], str], known: Callable[[str, str], bool]) -> None:
    """Stop where results that Snakemake does not know were made with other settings, code or data.

    Parameters
    ----------
    place
        Returns where a path below the workflow's folder is.
    known
        Returns whether Snakemake knows how an output was made, or will make it anew, given its rule and place.

    Raises
    ------
    UserError
        Naming the results and how to make them anew.
    """
    hashes: dict[str, str | None] = {"": None}
    for name in plan.datasets:
        hashes[name] = _content(place(f"resources/{name}/dataset.json")).get("content_hash")
    other = [
        result
        for result in results(plan)
        if Path(place(result.record)).exists()
        and not known(result.rule, place(result.output or result.record))
        and not _is_made_so(_content(place(result.record)), result, hashes[result.dataset])
    ]
    if not other:
        return
    more = f" and {len(other) - _NAMED} more" if len(other) > _NAMED else ""
    raise UserError(
        f"{', '.join(result.record for result in other[:_NAMED])}{more} were made with other settings, code or images, "
        "and Snakemake does not see it, as .snakemake has no note of them: make them anew by adding -R "
        f"{' '.join(dict.fromkeys(result.rule for result in other))}, or move them away"
    )


def _content(file: str) -> dict[str, Any]:
    """Return a result's JSON; what cannot be read is made by nothing known."""
    try:
        content = read_json(Path(file))
    except UserError:
        return {}
    return content if isinstance(content, dict) else {}


def _is_made_so(content: Mapping[str, Any], result: Result, content_hash: str | None) -> bool:
    """Return whether a result's record is of the settings, the code and the images that are wanted."""
    record = content.get("run") if "run" in content else content
    if not isinstance(record, dict):
        return False
    settings = record.get("settings") or {}
    return (
        all(key in settings and settings[key] == value for key, value in result.settings.items())
        and record.get("code_hash") == code_hash(result.step)
        and (content_hash is None or record.get("data_hash") == content_hash)
    )
