"""Put a table of what is known of each image beside gathered features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from simclr_steps.data.gathered import read_features
from simclr_steps.data.packed import read_description
from simclr_steps.data.requirements import split_of_features
from simclr_steps.data.row_tables import row_table
from simclr_steps.data.splits import Rows, rows_of_split
from simclr_steps.files import read_json, whole_file, whole_folder, write_json
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.machine.provenance import Record
from simclr_steps.machine.replaced import Own, check_not_read, check_replaceable
from simclr_steps.settings.base import array_of

_LAYERS = ("backbone", "projection_head")
_OWN = Own(  # of `out` for unlabeled
    (*(f"{layer}.npy" for layer in _LAYERS), "rows.parquet", "run.json"), step="tabulate", record="run.json"
)
_ROWS_AT_A_TIME = 10_000


def tabulate(features: Path, *, data: Path, split: str, out: Path) -> None:
    """Write rows.parquet (row, source, label, class) of the gathered features of a split into `out`.

    Of unlabeled images, whose features lie among those of train, these are written as well, as gather does: the rows of
    train without a label. `row` counts in the array that the features are of.

    Raises
    ------
    UserError
        When the features are of another split or of other images.
    """
    if split == "unlabeled":
        check_not_read(out, features)
        check_replaceable(out, _OWN)
    description = read_description(data)
    array = array_of(split)
    if split_of_features(features, data, description) != array:
        raise UserError(f"{features} is not of {array}: pass that folder, or another --split")
    table = row_table(data, description, array)
    if split != "unlabeled":
        with whole_file(out / "rows.parquet") as partial:
            table.to_parquet(partial, index=False)
    else:
        record = Record("tabulate", None, description.content_hash)
        facts = read_json(features / "run.json")
        rows = rows_of_split(split, table["label"].fillna(-1).to_numpy(dtype=np.int64))
        table = table.iloc[rows]
        with whole_folder(out, _OWN) as folder:
            for layer in _LAYERS:
                _copy_rows(read_features(features, layer), rows, folder / f"{layer}.npy")
            table.to_parquet(folder / "rows.parquet", index=False)
            described = {**facts, "split": split, "gather": facts["run"], "run": record.finish()}
            write_json(folder / "run.json", described)
    log.info("%d rows of %s: %s", len(table), split, out / "rows.parquet")


def _copy_rows(array: npt.NDArray[np.float32], rows: Rows, target: Path) -> None:
    """Copy some rows of an array, a few at a time."""
    copy = np.lib.format.open_memmap(target, mode="w+", dtype=array.dtype, shape=(len(rows), *array.shape[1:]))
    for start in range(0, len(rows), _ROWS_AT_A_TIME):
        part = rows[start : start + _ROWS_AT_A_TIME]
        copy[start : start + len(part)] = array[part]
    copy.flush()
