"""What the nearest neighbors of images tell of columns of the data set's table, such as the plate."""

from __future__ import annotations

import pandas as pd

from simclr_steps.summary.intervals import interval, spread_of


def batch_effects(rows: pd.DataFrame) -> list[str]:
    """Return from tidy rows a sentence for each pretraining and column: whether it is predicted better than by chance.

    That is so where the whole interval of the accuracy lies above what 97.5 % of the shuffled values reach.
    """
    of_columns = rows[rows["stage"] == "metadata"].groupby(["dataset", "pretrain", "input"], sort=False)
    return [_sentence(", ".join(map(str, keys[:2])), str(keys[2]), part) for keys, part in of_columns]


def _sentence(title: str, column: str, rows: pd.DataFrame) -> str:
    accuracy = spread_of(rows[rows["metric"] == "accuracy"])
    chance, most = (float(rows[rows["metric"] == metric]["value"].mean()) for metric in ("chance", "chance_most"))
    found = f"{title}: {column} is predicted at {accuracy.counted()} % by the nearest neighbors of images"
    low, _ = interval(accuracy.mean, accuracy.images or 1, accuracy.by_group)
    if low > most:
        return (
            f"{found}, where chance is {100 * chance:.1f} %: a batch effect, unless {column} is what images differ by."
        )
    by_chance = f"{100 * chance:.1f} % (up to {100 * most:.1f} % by shuffled values)"
    return f"{found}, which cannot be distinguished from chance, {by_chance}."
