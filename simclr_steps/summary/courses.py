"""The course of a pretraining that continues others: their histories as one."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from simclr_steps.files import read_json
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.runs import Run


def course(run: Run, results: Path) -> pd.DataFrame:
    """Return the history of a run behind those of the pretrainings that it continues, its epochs counted from theirs.

    The end of one and the start of the next are two rows of the same epoch.

    Raises
    ------
    UserError
        When the history of one that it continues is missing.
    """
    tables: list[pd.DataFrame] = []
    for name in (*run.continues, run.pretrain):
        file = results / run.folder_of(name) / "pretrain" / "history.csv"
        if not file.exists():
            raise UserError(f"{file} does not exist, but {run.pretrain} continues {name}: run pretrain, or copy it")
        table = _with_batches(pd.read_csv(file), file.with_name("run.json"))
        before = tables[-1]["epoch"].iloc[-1] if tables else 0
        tables.append(table.assign(epoch=table["epoch"] + before))
    return pd.concat(tables, ignore_index=True)


def _with_batches(table: pd.DataFrame, record: Path) -> pd.DataFrame:
    """Add how many views of each image and images of each batch a pretraining has, and how many images an epoch.

    Nothing is added where its record does not tell.
    """
    told = read_json(record) if record.exists() else {}
    asked = {**(told.get("settings") or {}), **told.get("fitted", {})}
    last = table.iloc[-1]
    batch = asked.get("global_batch_size")
    if "views" not in asked or not isinstance(batch, int) or not last["epoch"]:
        return table
    return table.assign(views=asked["views"], batch=batch, trained_on=batch * round(last["step"] / last["epoch"]))
