"""Gathered features of a split, and the table of what is known of their images, as gather and tabulate write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from simclr_steps.data.packed import open_array, read_parquet
from simclr_steps.machine.errors import UserError


def read_features(folder: Path, layer: str) -> npt.NDArray[np.float32]:
    """Open the features of a layer, backbone or projection_head, [N, D], without reading them.

    Raises
    ------
    UserError
        When the file is absent or damaged.
    """
    return open_array(folder / f"{layer}.npy", "gather")


def read_table(folder: Path) -> pd.DataFrame:
    """Return the table of the images whose features a folder holds, in their order.

    Raises
    ------
    UserError
        When the file is absent, damaged or does not fit the features.
    """
    path = folder / "rows.parquet"
    table = read_parquet(path, [], "tabulate")
    if len(table) != len(read_features(folder, "backbone")):
        raise UserError(f"{path} does not match the features beside it: run tabulate again")
    return table
