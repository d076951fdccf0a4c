"""Results that Snakemake has no record of, as they were copied here without .snakemake.

Snakemake would never rerun them after a change to settings, code or images, as it does not know what produced them.
Their own records do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from simclr_steps.files import checksum, read_json
from simclr_steps.machine.code_hash import code_hash
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.base import array_of
from simclr_steps.settings.judged import JudgedBy, instead_of_test
from simclr_steps.settings.metadata import MetadataSettings
from simclr_steps.settings.plan import Plan
from simclr_steps.settings.prediction import predictions_name

_NAMED = 3  # results in the sentence
_STEPS = {  # of rules that are not called like their step
    "summary": ("summarize",),
    "gather_features": ("gather", "predict"),
    "take_unlabeled": ("tabulate", "gather", "predict"),
    "gather_predictions": ("gather", "predict"),
    "gather_further_predictions": ("gather", "predict"),
}


@dataclass(frozen=True)
class Result:
    """One result that a config asks for."""

    rule: str
    record: str  # the file that holds the record of what made it, below the workflow's folder
    settings: Mapping[str, Any]  # with which it should have been made
    output: str = ""  # by which Snakemake knows it, where that is not the record
    dataset: str = ""  # whose images it was made of
    reads_labels: bool = True  # and not the images only
    encoder: str = ""  # that it was made with, of which the code may be the user's own
    own_weights: Path | None = None  # the user's file that it was made from
    weights: str = ""  # the record of the published weights that it was made from
    judged_by: JudgedBy = "test"  # the split that it was to be judged by, which the file says of the steps that judge
    drawn: str = ""  # the splits that it shows, where its settings do not say

    @property
    def steps(self) -> tuple[str, ...]:
        """The step that makes it, and those before it of which nothing but their record is left there."""
        return _STEPS.get(self.rule, (self.rule,))


def results(plan: Plan) -> Iterator[Result]:
    """Yield each result of a plan that has a record."""
    config, summary = plan.config, plan.summary
    for name in plan.datasets:
        if config.datasets[name].is_downloaded:
            known_set = config.datasets[name].model_dump(mode="json", include={"source", "name"})
            yield Result("download", f"resources/{name}/originals.json", known_set)
        yield Result("prepare", f"resources/{name}/images.json", plan.packed(name), dataset=name)
        yield Result("label", f"resources/{name}/dataset.json", plan.labeled(name), dataset=name)
    for place, (dataset, name) in plan.trainings.items():
        folder, pretrain = f"results/{place}/pretrain", plan.pretrains[name]
        trained, published = pretrain.trained.model_dump(mode="json"), pretrain.published_weights
        yield Result(
            *("pretrain", f"{folder}/run.json", trained, folder, dataset),
            reads_labels=False,
            encoder=pretrain.encoder,
            own_weights=pretrain.own_weights,
            weights=_place_of(published.name) if published else "",
        )
    for run in plan.runs:
        folder = f"results/{run.folder}"
        of_step = {
            "evaluate": ("evaluate/knn.json", config.evaluation),
            "umap": ("umap/quality.json", plan.umap(run.dataset, run.judged_by)),
            "galleries": ("galleries/run.json", plan.gallery(run.dataset, run.pretrain)),
        }
        if summary.has_pages:
            yield Result("present", f"{folder}/index.json", summary.of_one(run).model_dump(mode="json"))
        drawn = dict.fromkeys(("galleries", "umap"), ", ".join(instead_of_test(config.umap.splits, run.judged_by)))
        if config.explore.arrays:
            of_step["explore"] = ("explore/explore.json", plan.explore(run.dataset, run.judged_by))
        if config.metadata:
            of_step["metadata"] = ("evaluate/metadata.json", MetadataSettings(columns=config.metadata))
        selected = config.selection.model_dump(mode="json")
        votes = plan.may_vote(run.pretrain)
        yield Result("select", f"{folder}/encoder/selection.json", selected, dataset=run.dataset, reads_labels=votes)
        for rule, (file, block) in of_step.items():
            # others name their splits elsewhere
            judge: JudgedBy = run.judged_by if rule in ("evaluate", "metadata") else "test"
            asked, shows = block.model_dump(mode="json"), drawn.get(rule, "")
            yield Result(rule, f"{folder}/{file}", asked, dataset=run.dataset, judged_by=judge, drawn=shows)
        named = [*config.umap.splits, *config.prediction.splits, *config.explore.arrays]
        gathered = instead_of_test(named, run.judged_by)
        for split in sorted({*gathered, *map(array_of, gathered)}):
            is_taken = split == "unlabeled"  # from what is gathered of train
            yield Result(
                *("take_unlabeled" if is_taken else "gather_features", f"{folder}/features/{split}/run.json", {}),
                dataset=run.dataset,
                reads_labels=is_taken,
            )
    for folder, tuned in plan.finetunings.items():
        dataset, published = folder.partition("/")[0], tuned.published
        yield Result(
            *("finetune", f"results/{folder}/metrics.json", tuned.model_dump(mode="json")),
            dataset=dataset,
            encoder=tuned.network.encoder if tuned.network else "",
            weights=_place_of(published.name) if published else "",
            judged_by=plan.judged_by[folder],
        )
        for split in plan.predicted[folder]:
            rule = "gather_predictions" if split == "test" else "gather_further_predictions"
            yield Result(rule, f"results/{folder}/{predictions_name(split)}.json", {}, dataset=dataset)
    for name in plan.datasets:
        for other, block in plan.compared(name).items():
            file, settings = f"results/{name}/compare/{other}/knn.json", block.model_dump(mode="json")
            yield Result(
                *("compare", file, settings),
                dataset=name,
                encoder=block.encoder,
                own_weights=block.file,
                weights=_place_of(block.published.name) if block.published else "",
                judged_by=plan.judged_by[f"{name}/compare/{other}"],
            )
    for name, weights in plan.published.items():
        own = Path(weights.unknown_file) if weights.unknown_file else None
        yield Result("download_weights", _place_of(name), {"encoder": weights.encoder}, own_weights=own)
    yield Result("summary", "results/summary/run.json", summary.model_dump(mode="json"))


def _place_of(weights: str) -> str:
    """Return the file that holds the record of published weights of this name."""
    return f"resources/weights/{weights}.json"


def check_adopted(
    plan: Plan,
    place: Callable[[str], str],
    known: Callable[[str, str], bool],
    own_files: Callable[[str, str], list[str]],
    own_code: Callable[[str | None], list[str]],
) -> None:
    """Stop where results that Snakemake does not know were made with other settings, code, data or first weights.

    Parameters
    ----------
    place
        Returns where a path below the workflow's folder is.
    known
        Returns whether Snakemake knows how an output was made, or will make it anew, given its rule and place.
    own_files
        Returns the fingerprint of what a data set gives to a rule, nothing if it is not the user's own.
    own_code
        Returns the hash of an encoder's or an augmentation's code, nothing if it is not the user's own.

    Raises
    ------
    UserError
        Naming the results and how to make them anew.
    """
    described = {name: _content(place(f"resources/{name}/dataset.json")) for name in plan.datasets}
    packed = {name: _content(place(f"resources/{name}/images.json")) for name in plan.datasets}
    checksum_of = cache(checksum)  # runs share their file

    def is_other(result: Result) -> bool:
        content = _content(place(result.record))
        if result.rule in ("prepare", "label"):
            data = own_files(result.dataset, result.rule)
        elif result.reads_labels:
            data = _hash(described.get(result.dataset, {}), "content_hash")
        else:
            data = _hash(packed.get(result.dataset, {}), "pixel_hash")
        if result.own_weights and result.own_weights.is_file():  # of a folder download_weights knows which it takes
            weights = [checksum_of(result.own_weights)]
        else:
            weights = _hash(_content(place(result.weights)), "sha256") if result.weights else []
        own_augmentation = own_code((result.settings.get("augmentation") or {}).get("own"))
        return not _is_made_so(content, result, data, own_code(result.encoder), own_augmentation, weights)

    unknown = (
        result
        for result in results(plan)
        if Path(place(result.record)).exists() and not known(result.rule, place(result.output or result.record))
    )
    other = [result for result in unknown if is_other(result)]
    if not other:
        return
    more = f" and {len(other) - _NAMED} more" if len(other) > _NAMED else ""
    raise UserError(
        f"{', '.join(result.record for result in other[:_NAMED])}{more} were made with different settings, code, "
        "images or weights, which Snakemake cannot see, as .snakemake has no record of them: recreate them by adding "
        f"-R {' '.join(dict.fromkeys(result.rule for result in other))}, or move them away"
    )


def _hash(content: Mapping[str, Any], key: str) -> list[str]:
    return [content[key]] if key in content else []


def _content(file: str) -> dict[str, Any]:
    """Return a result's JSON; what cannot be read is made by nothing known."""
    try:
        content = read_json(Path(file))
    except UserError:
        return {}
    return content if isinstance(content, dict) else {}


def _is_made_so(
    content: Mapping[str, Any],
    result: Result,
    data_hash: list[str],
    own_encoder: list[str],
    own_augmentation: list[str],
    weights: list[str],
) -> bool:
    """Return whether a result's records are of the settings, code, images and first weights that are wanted.

    Each of the hashes may be missing, where there is nothing to compare with.
    """
    step, *others = result.steps
    records = {step: content.get("run", content), **{other: content.get(other) for other in others}}
    if not all(isinstance(record, dict) for record in records.values()):
        return False
    settings, architecture = records[step].get("settings") or {}, content.get("architecture") or {}
    of_weights = architecture.get("started_from") or content  # which is download_weights' own
    return (
        all(key in settings and settings[key] == value for key, value in result.settings.items())
        and content.get("judged_by", "test") == result.judged_by
        and result.drawn in ("", content.get("split", result.drawn))
        and all(record.get("code_hash") == code_hash(name) for name, record in records.items())
        and data_hash in ([], [records[step].get("data_hash")])
        and own_encoder in ([], [architecture.get("own_code_hash")])
        and weights in ([], [of_weights.get("sha256")])
        and own_augmentation in ([], [records[step].get("own_augmentation_hash")])
    )
