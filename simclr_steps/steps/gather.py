"""Merge the parts of a prediction into one table, each row of the split exactly once and in its order."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from simclr_steps.data.packed import read_description, read_packed
from simclr_steps.data.row_tables import class_names, row_table
from simclr_steps.files import read_json, whole_file, whole_folder, write_json
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.machine.provenance import Record

Arrays = dict[str, npt.NDArray[Any]]

_OWN = ("backbone.npy", "projection_head.npy", "rows.parquet", "run.json", "parts")  # of `out`


def gather(parts: Path, *, data: Path, split: str, out: Path) -> None:
    """Check that the parts hold every row of the split exactly once, order them and write them into `out`.

    For an encoder: backbone.npy, float32 [N, D], projection_head.npy, float32 [N, P], and run.json; no label is read.
    For a classifier: predictions.parquet (row, source, label, class, prediction, predicted_class
    and a probability_<class> for each class) and predictions.json, beside whatever else `out` holds. The JSON, which
    the Parquet file's metadata hold as well, under the key `simclr`, tells the network and the records of `predict` and
    of this step. A row without a label has a null there.

    Raises
    ------
    UserError
        When a part is missing or damaged, or when rows are missing, repeated or foreign.
    """
    facts = read_json(parts / "parts.json")
    if facts["split"] != split or facts["run"]["data_hash"] != (packed := read_packed(data)).pixel_hash:
        raise UserError(f"{parts} was predicted from data other than {split} of {data}: run predict again")
    arrays = _merge(parts, facts, packed.images[split])
    origin = {**{key: facts[key] for key in ("kind", "split", "model", "model_hash")}, "predict": facts["run"]}
    if facts["kind"] == "classifier":
        description = read_description(data)
        record = Record("gather", None, description.content_hash)
        table = row_table(data, description, split)
        table = _add_predictions(table, arrays["logits"], description.classes, parts)
        stored = pa.Table.from_pandas(table, preserve_index=False)
        described = {**origin, "run": record.finish()}
        metadata = {**(stored.schema.metadata or {}), b"simclr": json.dumps(described).encode()}
        with whole_file(out / "predictions.parquet") as partial:
            pq.write_table(stored.replace_schema_metadata(metadata), partial)
        write_json(out / "predictions.json", described)
    else:
        record = Record("gather", None, packed.pixel_hash)
        with whole_folder(out, _OWN) as folder:
            np.save(folder / "backbone.npy", arrays["features"])
            np.save(folder / "projection_head.npy", arrays["projections"])
            write_json(folder / "run.json", {**origin, "run": record.finish()})
    log.info("%d rows of %s, each exactly once: %s", packed.images[split], split, out)


def _merge(parts: Path, facts: dict[str, Any], rows: int) -> Arrays:
    """Return the arrays of all parts, in the order of the rows."""
    opened = [_read_part(parts / f"part-{rank}.npz", facts["layers"]) for rank in range(facts["processes"])]
    merged = {name: np.concatenate([part[name] for part in opened]) for name in opened[0]}
    _check_rows(merged["rows"], rows, parts)
    order = np.argsort(merged["rows"])
    return {name: array[order] for name, array in merged.items() if name != "rows"}


def _read_part(path: Path, layers: list[str]) -> Arrays:
    try:
        with np.load(path, allow_pickle=False) as stored:
            part = {name: stored[name] for name in ("rows", *layers)}
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: run predict again") from error
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is damaged ({error}): run predict again") from error
    if len({len(array) for array in part.values()}) > 1:
        raise UserError(f"{path} is damaged (its arrays differ in length): run predict again")
    return part


def _check_rows(predicted: npt.NDArray[np.int64], rows: int, parts: Path) -> None:
    foreign = predicted[(predicted < 0) | (predicted >= rows)]
    count = np.bincount(predicted[(predicted >= 0) & (predicted < rows)], minlength=rows)
    for what, wrong in (
        ("contains rows that are not in the split", foreign),
        ("contains rows more than once", np.flatnonzero(count > 1)),
        ("is missing rows", np.flatnonzero(count == 0)),
    ):
        if len(wrong):
            more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
            raise UserError(f"{parts} {what}: {', '.join(map(str, wrong[:5]))}{more}: run predict again")


def _add_predictions(
    table: pd.DataFrame, logits: npt.NDArray[np.float32], classes: list[str], parts: Path
) -> pd.DataFrame:
    if logits.shape[1] != len(classes):
        raise UserError(
            f"{parts} contains scores for {logits.shape[1]} classes, but the data have {len(classes)}: "
            "predict with a classifier of these data"
        )
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = scores / scores.sum(axis=1, keepdims=True)
    prediction = logits.argmax(axis=1)
    columns = {
        "prediction": prediction.astype(np.int64),
        "predicted_class": class_names(prediction, classes),
        **{f"probability_{name}": probabilities[:, label] for label, name in enumerate(classes)},
    }
    return table.assign(**columns)
