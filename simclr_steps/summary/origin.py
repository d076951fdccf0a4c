"""Which config a summary is of, and which results beside its own it leaves out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from simclr_steps.settings.runs import Run

_NAMED = 10  # folders in a sentence


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


def _others(runs: Sequence[Run], results: Path) -> list[str]:
    """Return the folders of trainings that are of no run, below `results` and sorted."""
    own = {run.folder_of(name) for run in runs for name in (run.pretrain, *run.continues)}
    own |= {folder for run in runs for folder in run.classifiers.values()}
    trained = [file.parents[1] for file in results.glob("*/*/seed*/pretrain/run.json")]
    places = [*(results / run.folder for run in runs), *results.glob("*/compare/*")]
    tuned = [file.parent for place in places for file in place.glob("finetune/*/metrics.json")]
    return sorted({folder.relative_to(results).as_posix() for folder in (*trained, *tuned)} - own)
