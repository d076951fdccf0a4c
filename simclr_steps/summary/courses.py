"""The course of a pretraining that continues others: their histories as one."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

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
        table = pd.read_csv(file)
        before = tables[-1]["epoch"].iloc[-1] if tables else 0
        tables.append(table.assign(epoch=table["epoch"] + before))
    return pd.concat(tables, ignore_index=True)
