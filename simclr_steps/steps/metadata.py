"""Measure whether features tell columns of the data set's table, such as the plate: a batch effect."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from simclr_steps.data.asked_columns import require_columns, require_different
from simclr_steps.data.columns import column_of
from simclr_steps.data.gathered import read_features, read_table
from simclr_steps.data.packed import read_description
from simclr_steps.data.requirements import split_of_features
from simclr_steps.evaluation.batch_effects import NEIGHBORS, predictability
from simclr_steps.files import write_json
from simclr_steps.machine.logs import log
from simclr_steps.machine.provenance import Record
from simclr_steps.settings.judged import JudgedBy, splits_judged
from simclr_steps.settings.metadata import MetadataSettings

_MOST_IMAGES = 10_000  # their neighbors are looked for among all of them
_OWN = ("row", "source", "label", "class")  # columns of any rows


def metadata(
    settings: MetadataSettings, *, features: Path, data: Path, judged_by: JudgedBy = "test", out: Path
) -> None:
    """Write how well each column is predicted by nearest neighbors in the backbone's features, beside chance.

    Reads what gather wrote of all splits, in a folder for each below `features`, but not of test where the hold-out
    judges; their images are judged together, or 10,000 of them drawn at random. Nothing is chosen by the
    result. `out` is a JSON file with an entry for each of the `columns`, see `predictability`, and with `judged_by`.

    Raises
    ------
    UserError
        When a column is absent, or has the same value or a different one in all rows.
    """
    description = read_description(data)
    record = Record("metadata", settings, description.content_hash)
    folders = [features / split for split in ("train", *splits_judged(judged_by))]
    for folder in folders:
        split_of_features(folder, data, description)
    rows = pd.concat([read_table(folder) for folder in folders], ignore_index=True)
    require_columns(settings.columns, [str(name) for name in rows if name not in _OWN], data.name)
    for name in settings.columns:
        require_different(name, rows[name].fillna(""), data.name)
    drawn = np.sort(np.random.default_rng(0).permutation(len(rows))[:_MOST_IMAGES])
    rows, values = rows.iloc[drawn], _features(folders, drawn)
    groups = rows["group"].to_numpy(dtype=np.str_) if "group" in rows else None
    found = {}
    for name in settings.columns:
        found[name] = one = predictability(values, column_of(name, rows[name].fillna("").tolist()), groups)
        log.info("%s: %.1f %%, chance %.1f %%", name, 100 * one["accuracy"], 100 * one["chance"])
    write_json(out, {"columns": found, "neighbors": NEIGHBORS, "judged_by": judged_by, "run": record.finish()})
    log.info("wrote %s", out)


def _features(folders: list[Path], drawn: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return the features of rows of all splits, counted through, without reading those of the others."""
    arrays = [read_features(folder, "backbone") for folder in folders]
    starts = np.cumsum([0, *map(len, arrays)])
    parts = [
        array[drawn[slice(*np.searchsorted(drawn, [start, start + len(array)]))] - start]
        for array, start in zip(arrays, starts, strict=False)
    ]
    return np.concatenate(parts)
