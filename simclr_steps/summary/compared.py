"""What SimCLR is compared with, and by how much it is better."""

from __future__ import annotations

import pandas as pd


def uncompared(rows: pd.DataFrame) -> list[str]:
    """Return a sentence for each data set with accuracies whose runs were compared with no encoder off the shelf."""
    sentences = []
    for name, of_dataset in rows.groupby("dataset", sort=False):
        series = set(of_dataset["series"])
        if "simclr" in series and "published" not in series:
            sentences.append(
                f"{name}: no published encoder was compared, so it is not known whether one that costs no training is "
                "better: name some under compare, such as torchvision:resnet50."
            )
    return sentences
