"""The accuracy per image of tiles beside that per tile."""

from __future__ import annotations

import pandas as pd

from simclr_steps.summary.intervals import spread_of

METRICS = {"accuracy": "parent_accuracy", "balanced_accuracy": "balanced_parent_accuracy"}  # by that per tile


def sentences(rows: pd.DataFrame, split: str) -> list[str]:
    """Say how accurate each fine-tuning is per image and per tile, given the tidy rows of one pretraining."""
    here = rows[(rows["stage"] == "finetune") & (rows["split"] == split)]
    said = []
    for name, of_one in here.groupby("input", sort=False):
        of_metrics = {metric: spread_of(part) for metric, part in of_one.groupby("metric")}
        whole, balanced = (of_metrics.get(metric) for metric in METRICS.values())
        if whole:
            beside = f" (balanced: {balanced.counted()})" if balanced else ""
            said.append(
                f"Fine-tuned {name}, accuracy on the {split} split in %: {whole.counted()} per image{beside}, by the "
                f"mean probability over the tiles of each of {whole.images:,} image{'s' * (whole.images != 1)}, and "
                f"{of_metrics['accuracy'].counted()} per tile."
            )
    return said
