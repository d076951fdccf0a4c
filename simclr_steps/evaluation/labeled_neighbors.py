"""The labeled images that are most like others, which show why a classifier takes one for another class."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simclr_steps.data.csv_text import as_list
from simclr_steps.evaluation.similar_rows import of_length_one

NEIGHBORS = 10
_SIMILARITIES_AT_A_TIME = 2**26  # 256 MiB in fp32


def labeled_neighbors(
    features: npt.NDArray[np.floating[Any]], known: npt.NDArray[np.floating[Any]], table: pd.DataFrame
) -> pd.DataFrame:
    """Return the source and the class of the nearest labeled images of each image, nearest first, as lists of JSON.

    Parameters
    ----------
    features
        [N, D], of the images.
    known
        [M, D], of those among which neighbors are looked for, from whose mean all are seen.
    table
        M rows; only those with a `label` are neighbors, by their `source` and `class`.

    Returns
    -------
    N rows with the columns `neighbors` and `neighbor_classes`.
    """
    labeled = np.flatnonzero(table["label"].notna())
    mean = known.mean(axis=0, dtype=np.float64).astype(np.float32)
    bank, queries = of_length_one(known[labeled] - mean), of_length_one(features - mean)
    at_a_time = max(1, _SIMILARITIES_AT_A_TIME // max(1, len(bank)))
    found = [_largest(queries[start : start + at_a_time] @ bank.T) for start in range(0, len(queries), at_a_time)]
    columns = {"neighbors": "source", "neighbor_classes": "class"}
    texts = {name: table[column].to_numpy()[labeled] for name, column in columns.items()}
    return pd.DataFrame({name: [as_list(of[row]) for rows in found for row in rows] for name, of in texts.items()})


def _largest(similarities: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.int64]:
    """Return the places of the largest of each row, the largest first."""
    first = np.argpartition(-similarities, min(NEIGHBORS, similarities.shape[1]) - 1, axis=1)[:, :NEIGHBORS]
    order = np.argsort(-np.take_along_axis(similarities, first, axis=1), axis=1, kind="stable")
    return np.take_along_axis(first, order, axis=1)
