"""The accuracy per image of tiles beside that per tile."""

from __future__ import annotations

import pandas as pd

from simclr_steps.summary.intervals import spread_of

METRIC = "parent_accuracy"


def sentences(rows: pd.DataFrame, split: str) -> list[str]:
    """Say how accurate each fine-tuning is per image and per tile, given the tidy rows of one pretraining."""
    here = rows[(rows["stage"] == "finetune") & (rows["split"] == split)]
    said = []
    for name, of_one in here[here["metric"] == METRIC].groupby("input", sort=False):
        tiles = spread_of(here[(here["input"] == name) & (here["metric"] == "accuracy")])
        whole = spread_of(of_one)
        said.append(
            f"Fine-tuned {name}, accuracy on the {split} split in %: {whole.counted()} per image, by the mean "
            f"probability over the tiles of each of {whole.images:,} images, and {tiles.counted()} per tile."
        )
    return said
