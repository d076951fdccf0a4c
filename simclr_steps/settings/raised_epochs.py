"""Finished pretrainings that would start over because their epochs were raised, where they could go on instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from simclr_steps.files import read_json
from simclr_steps.machine.code_hash import code_hash
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.plan import Plan


def raised_epochs(plan: Plan, place: Callable[[str], str]) -> Iterator[str]:
    """Yield a sentence for each pretraining of which nothing but a higher number of epochs is new.

    `place` returns where a path below the workflow's folder is.
    """
    code = code_hash("pretrain")
    told = set[str]()
    for folder, (_, name) in plan.trainings.items():
        asked = plan.pretrains[name].trained.model_dump(mode="json")
        try:
            record = read_json(Path(place(f"results/{folder}/pretrain/run.json")))
            written, done = record["settings"]["epochs"], record["fitted"]["epochs"]
            is_longer = asked["epochs"] != "auto" and done < asked["epochs"]
            is_same = record["settings"] == {**asked, "epochs": written} and record["code_hash"] == code
        except (UserError, KeyError, TypeError):  # it has not run, or another version wrote it
            continue
        if is_longer and is_same and name not in told:
            told.add(name)
            yield (
                f"results/{folder}/pretrain has {done} epoch{'s' * (done != 1)} and would start over for "
                f"{asked['epochs']}: to go on from its end, restore epochs: {written} in pretrains.{name}, and add a "
                f"block with continue: {name} and epochs: {asked['epochs'] - done}"
            )
