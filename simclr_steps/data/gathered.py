"""Gathered features of a split, and the table of what is known of their images, as gather and tabulate write them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from simclr_steps.data.packed import open_array, read_parquet
from simclr_steps.files import read_json
from simclr_steps.machine.errors import UserError


def read_features(folder: Path, layer: str) -> npt.NDArray[np.float32]:
    """Open the features of a layer, backbone or projection_head, [N, D], without reading them.

    Raises
    ------
    UserError
        When the file is absent or damaged.
    """
    return open_array(folder / f"{layer}.npy", "gather")


def check_one_encoder(folders: Iterable[Path]) -> None:
    """Raise UserError if the features in several folders are of different encoders."""
    known = {folder: read_json(folder / "run.json").get("model_hash") for folder in folders}
    if len(set(known.values())) > 1:
        names = " and ".join(map(str, known))
        raise UserError(f"{names} hold features of different encoders: run predict and gather again")


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
