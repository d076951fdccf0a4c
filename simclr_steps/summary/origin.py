"""Which config a summary is of, what was run, and which results beside its own it leaves out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from simclr_steps import __version__
from simclr_steps.data.packed import Description
from simclr_steps.settings.runs import Run
from simclr_steps.summary.run_results import RunResults

_NAMED = 10  # folders in a sentence
_FACTS = 3  # data sets or encoders in a line


def origin(runs: Sequence[Run], results: Path, config: str) -> list[str]:
    """Return sentences on the config, where its name is known, and on finished trainings below `results` of others.

    Every config that is run in a folder writes the same summary, so a reader must see whose it is.
    """
    sentences = [f"This is the summary of {config}."] if config else []
    others = _others(runs, results)
    if others:
        more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        named = ", ".join(others[:_NAMED])
        sentences.append(f"{results.name} also holds results that are not part of this summary: {named}{more}.")
    return sentences


def what_ran(runs: Sequence[RunResults], descriptions: Mapping[str, Description]) -> dict[str, str]:
    """Return the facts of the runs by name: data, encoders, seeds, date, version, and what is missing."""
    pretrained = [run.records.get("pretrain") or {} for run in runs]
    days = sorted(
        {str(record["started"])[:10] for run in runs for record in run.records.values() if "started" in record}
    )
    seeds = len({run.run.seed for run in runs})
    missing = list(dict.fromkeys(stage for run in runs for stage in _missing(run)))
    facts = {
        "data": _some(f"{name}, {_size(one)}" for name, one in descriptions.items()),
        "encoder": _some(_encoder(record.get("settings") or {}) for record in pretrained),
        "seeds": f"{seeds} seed{'s' * (seeds != 1)}",
        "date": " to ".join(dict.fromkeys((days[0], days[-1]))) if days else "",
        "version": f"simclr-workflow {__version__}",
        "state": f"without {', '.join(missing)}" if missing else "complete",
    }
    return {name: fact for name, fact in facts.items() if fact}


def _some(facts: Iterator[str]) -> str:
    """Return the first few of different facts."""
    known = [fact for fact in dict.fromkeys(facts) if fact]
    more = f" and {len(known) - _FACTS} more" if len(known) > _FACTS else ""
    return "; ".join(known[:_FACTS]) + more


def _size(data: Description) -> str:
    images, classes = sum(split.images for split in data.splits.values()), len(data.classes)
    counted = f"{classes} class{'es' * (classes != 1)}" if classes else "no labels"
    return f"{images:,} image{'s' * (images != 1)}, {counted}"


def _encoder(settings: Mapping[str, object]) -> str:
    if "encoder" not in settings:
        return ""
    epochs = settings.get("epochs")
    return f"{settings['encoder']}, {epochs} epoch{'s' * (epochs != 1)}" if epochs else str(settings["encoder"])


def _missing(run: RunResults) -> Iterator[str]:
    for step, stage in {"pretrain": "pretrain", "select": "select", "evaluate": "linear", "umap": "umap"}.items():
        if stage not in run.records:
            yield step
    for name in run.run.finetunes:
        if f"finetune {name}" not in run.records:
            yield f"finetune {name}"


def _others(runs: Sequence[Run], results: Path) -> list[str]:
    """Return the folders of trainings that are of no run, below `results` and sorted."""
    own = {run.folder_of(name) for run in runs for name in (run.pretrain, *run.continues)}
    own |= {folder for run in runs for folder in run.classifiers.values()}
    trained = [file.parents[1] for file in results.glob("*/*/seed*/pretrain/run.json")]
    places = [*(results / run.folder for run in runs), *results.glob("*/compare/*")]
    tuned = [file.parent for place in places for file in place.glob("finetune/*/metrics.json")]
    return sorted({folder.relative_to(results).as_posix() for folder in (*trained, *tuned)} - own)
