"""Gathered features of a split, and the table of what is known of their images, as gather and tabulate write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from simclr_steps.machine.errors import UserError


def read_features(folder: Path, layer: str) -> npt.NDArray[np.float32]:
    """Open the features of a layer, backbone or projection_head, [N, D], without reading them.

    Raises
    ------
    UserError
        When the file is absent or damaged.
    """
    path = folder / f"{layer}.npy"
    try:
        features: npt.NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: run gather") from error
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"{path} is damaged ({error}): delete it and run gather again") from error
    return features


def read_table(folder: Path) -> pd.DataFrame:
    """Return the table of the images whose features a folder holds, in their order.

    Raises
    ------
    UserError
        When the file is absent, damaged or does not fit the features.
    """
    path = folder / "rows.parquet"
    try:
        table = pd.read_parquet(path)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: run tabulate") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} is damaged ({error}): delete it and run tabulate again") from error
    if len(table) != len(read_features(folder, "backbone")):
        raise UserError(f"{path} does not match the features beside it: run tabulate again")
    return table
