"""Merge the parts of a prediction into one table, each row of the split exactly once and in its order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from simclr_steps.data.csv_text import as_csv
from simclr_steps.data.gathered import check_one_encoder, read_features
from simclr_steps.data.growing_file import GrowingArray
from simclr_steps.data.packed import read_description, read_packed
from simclr_steps.data.parts import PATTERNS, ROWS_AT_A_TIME, Parts
from simclr_steps.data.row_tables import class_names, log_odds, probabilities, probability_columns, row_table
from simclr_steps.evaluation.labeled_neighbors import labeled_neighbors
from simclr_steps.files import read_json, whole_file, whole_folder, write_json, write_text
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.machine.provenance import Record
from simclr_steps.machine.replaced import Own, check_files
from simclr_steps.settings.base import array_of
from simclr_steps.settings.prediction import mistakes_name, predictions_name

Features = npt.NDArray[np.float32]

_FILE_OF = {"features": "backbone.npy", "projections": "projection_head.npy"}
_OF_MISTAKES = ["row", "source", "class", "predicted_class", "probability", "probability_of_class"]
_MOST_WITH_NEIGHBORS = 100_000  # images of train, all of which are compared with each mistake
_OWN = Own(  # of `out`
    (*_FILE_OF.values(), "run.json"),
    step="gather",
    record="run.json",
    alone=("rows.parquet", *(f"parts/{name}" for name in (*PATTERNS, "parts.json"))),  # of tabulate and predict
)


def gather(parts: Path, *, data: Path, split: str, features: Path | None = None, out: Path) -> None:
    """Check that the parts hold every row of the split exactly once, order them and write them into `out`.

    For an encoder: backbone.npy, float32 [N, D], projection_head.npy, float32 [N, P], and run.json; no label is read.
    For a classifier: predictions.parquet (row, source, label, class, and group and all further columns of the data's
    rows; then prediction, predicted_class and a probability_<class> for each class), mistakes.csv (the images that are
    not predicted to be of their class, the surest mistakes first) and predictions.json, beside whatever else `out`
    holds; the names of those of another split than test begin with it. The JSON, which the Parquet file's metadata hold
    as well, under the key `simclr`, tells the network and the records of `predict` and of this step. A row without a
    label has a null there. For unlabeled images, which are rows of train, the parts are those of train, and `row`
    counts in its array.

    `features` holds an encoder's features of test or validation and of train, a folder each: each mistake then has its
    nearest labeled images of train by them, and these images' classes, as lists of JSON, unless train has more than
    100,000 images.

    Raises
    ------
    UserError
        When a part is missing or damaged, when rows are missing, repeated or foreign, when features of unlabeled images
        are asked for, which tabulate takes from those of train, or neighbors of images of train, which explore finds.
    """
    facts, array = read_json(parts / "parts.json"), array_of(split)
    if facts["split"] != array or facts["run"]["data_hash"] != (packed := read_packed(data)).pixel_hash:
        raise UserError(f"{parts} was predicted from data other than {array} of {data}: run predict again")
    compared = _features_to_compare(features, facts["kind"], array, packed.images, data) if features else None
    merged = Parts(parts, facts["processes"], facts["layers"], packed.images[array])
    origin = {**{key: facts[key] for key in ("kind", "model", "model_hash")}, "split": split, "predict": facts["run"]}
    count = packed.images[array]
    if facts["kind"] == "classifier":
        description = read_description(data)
        record = Record("gather", None, description.content_hash)
        table = row_table(data, description, array)
        asked = np.full(len(table), True)
        if split == "unlabeled":
            asked[:] = table["label"].isna()
        count = int(asked.sum())
        _check_classes(merged, description.classes, parts)
        name = predictions_name(split)
        check_files(out, (mistakes_name(split), f"{name}.json"), sign=f"{name}.parquet")
        described = {**origin, "run": record.finish()}
        with whole_file(out / f"{name}.parquet") as partial:
            _write_predictions(partial, table, asked, merged, description.classes, described)
        mistakes = _mistakes(out / f"{name}.parquet", merged)
        if compared:
            mistakes = _with_neighbors(mistakes, *compared, row_table(data, description, "train"))
        write_text(out / mistakes_name(split), as_csv(mistakes))
        write_json(out / f"{name}.json", described)
    elif split == "unlabeled":
        raise UserError("--split: features of unlabeled images are gathered with train: pass train, then run tabulate")
    else:
        record = Record("gather", None, packed.pixel_hash)
        with whole_folder(out, _OWN) as folder:
            for layer, name in _FILE_OF.items():
                _write_array(folder, name, out, merged, layer)
            write_json(folder / "run.json", {**origin, "run": record.finish()})
    log.info("%d rows of %s, each exactly once: %s", count, split, out)


def _write_array(folder: Path, name: str, out: Path, merged: Parts, layer: str) -> None:
    """Write an output of the network for all rows, a few at a time."""
    with GrowingArray(folder, name, out, np.dtype(np.float32), merged.shape(layer)) as file:
        for values in merged.read(layer):
            file.write(values)
        file.sync()


def _write_predictions(
    path: Path,
    table: pd.DataFrame,
    asked: npt.NDArray[np.bool_],
    merged: Parts,
    classes: list[str],
    described: dict[str, Any],
) -> None:
    """Write the table of a classifier, a few rows at a time."""
    tables = _tables(table, asked, merged, classes)
    first = next(tables)
    metadata = {**(first.schema.metadata or {}), b"simclr": json.dumps(described).encode()}
    with pq.ParquetWriter(path, first.schema.with_metadata(metadata)) as writer:
        for rows in chain([first], tables):
            writer.write_table(rows.replace_schema_metadata(metadata))


def _tables(table: pd.DataFrame, asked: npt.NDArray[np.bool_], merged: Parts, classes: list[str]) -> Iterator[pa.Table]:
    """Yield the rows that are asked for, with their predictions, a few at a time."""
    start = 0
    for logits in merged.read("logits"):
        rows = table.iloc[start : start + len(logits)].reset_index(drop=True)
        whole = pa.Table.from_pandas(_add_predictions(rows, logits, classes), preserve_index=False)
        yield whole.filter(asked[start : start + len(logits)])
        start += len(logits)


def _mistakes(predictions: Path, merged: Parts) -> pd.DataFrame:
    """Return row, source, class and predicted class of the images of another class, and both classes' probabilities.

    The surest ones are first, by the log-odds of the predicted class, as probabilities round to 1.
    """
    stored = pq.ParquetFile(predictions)
    chances = probability_columns(stored.schema_arrow.names)
    parts = [pd.DataFrame(columns=_OF_MISTAKES)]
    for batch in stored.iter_batches(ROWS_AT_A_TIME):
        rows = batch.to_pandas()
        wrong = rows[rows["label"].notna() & (rows["label"] != rows["prediction"])]
        both = wrong[list(chances.values())].to_numpy()
        of_each = {
            name: both[np.arange(len(wrong)), wrong[column].to_numpy(dtype=np.int64)]
            for name, column in {"probability": "prediction", "probability_of_class": "label"}.items()
        }
        parts.append(wrong.assign(**of_each)[_OF_MISTAKES])
    found = pd.concat(parts[1:] or parts)
    sure = np.concatenate([log_odds(logits).max(axis=1) for logits in merged.read("logits")])  # of all rows
    return found.iloc[np.argsort(-sure[found["row"].to_numpy(dtype=np.int64)], kind="stable")]


def _features_to_compare(
    features: Path, kind: str, array: str, images: Mapping[str, int], data: Path
) -> tuple[Features, Features] | None:
    """Return an encoder's features of the array and of train, [N, D] each, unless train has too many images."""
    if kind != "classifier":
        raise UserError("--features: only a classifier makes mistakes: leave the option out")
    if array == "train":
        raise UserError("--features: explore finds the neighbors of images of train: leave the option out")
    folders = [features / array, features / "train"]
    check_one_encoder(folders)
    of_array, of_train = (read_features(folder, "backbone") for folder in folders)
    if (len(of_array), len(of_train)) != (images[array], images["train"]):
        raise UserError(f"--features: {features} is of other images than {data}: run predict and gather again")
    if len(of_train) > _MOST_WITH_NEIGHBORS:
        log.info("mistakes without neighbors, as train has more than %d images", _MOST_WITH_NEIGHBORS)
        return None
    return of_array, of_train


def _with_neighbors(
    mistakes: pd.DataFrame, of_array: Features, of_train: Features, train: pd.DataFrame
) -> pd.DataFrame:
    """Return the mistakes in an array with the nearest labeled images of each among the rows of `train`."""
    rows = mistakes["row"].to_numpy(dtype=np.int64)
    found = labeled_neighbors(of_array[rows], of_train, train)
    return pd.concat([mistakes.reset_index(drop=True), found], axis=1)


def _check_classes(merged: Parts, classes: list[str], parts: Path) -> None:
    (_, width) = merged.shape("logits")
    if width != len(classes):
        raise UserError(
            f"{parts} contains scores for {width} classes, but the data have {len(classes)}: "
            "predict with a classifier of these data"
        )


def _add_predictions(table: pd.DataFrame, logits: npt.NDArray[np.float32], classes: list[str]) -> pd.DataFrame:
    chances = probabilities(logits)
    prediction = logits.argmax(axis=1)
    columns = {
        "prediction": prediction.astype(np.int64),
        "predicted_class": class_names(prediction, classes),
        **{f"probability_{name}": chances[:, label] for label, name in enumerate(classes)},
    }
    return table.assign(**columns)
