"""What classifiers predict of each split: how many images of each class, and the least certain ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from markupsafe import Markup

from simclr_steps.data.packed import Description, read_images
from simclr_steps.data.row_tables import probability_columns
from simclr_steps.figures.contrast import BRIGHTENED, contrast_of_split
from simclr_steps.figures.thumbnails import sprite, thumbnails
from simclr_steps.settings.base import array_of
from simclr_steps.settings.display import in_words, legend_of, mix_of
from simclr_steps.settings.judged import instead_of_test
from simclr_steps.settings.prediction import predictions_name
from simclr_steps.settings.runs import Run, SummarySettings
from simclr_steps.summary.tables import SPLIT_NAMES, Table

MOST = 12  # images of a classifier and split
_MOST_CLASSES = 20  # in a table
_SIDE = 64  # pixels of a picture
_MOST_BYTES = 4_000  # of a picture
_ROWS_AT_A_TIME = 10_000
_KEPT = ["row", "source", "predicted_class", "sure", "doubt"]
_TEMPLATE = Path(__file__).with_suffix(".html.j2")


@dataclass(frozen=True)
class Predicted:
    """What one classifier predicts of one split."""

    title: str  # data set, pretraining and fine-tuning, and the split in words
    counts: Table
    names: list[str]  # lines of the least certain images: the class, how surely, and the path
    pictures: list[str]  # of these, as data: addresses, or none
    notes: list[str]  # how pictures show images


def predicted(
    settings: SummarySettings, results: Path, resources: Path, descriptions: Mapping[str, Description]
) -> Iterator[Predicted]:
    """Yield what the classifiers of each data set and pretraining predict, those of the first seed.

    Of train only images with a label are counted: its array holds the unlabeled ones, too. A classifier that several
    pretrainings share is told once; with a run of a grid nothing is told of one that others have judged by test.
    """
    firsts: dict[tuple[str, str], Run] = {}
    for run in settings.runs:
        firsts.setdefault((run.dataset, run.pretrain), run)
    told: set[str] = set()
    for run in firsts.values():
        for name, folder in run.classifiers.items():
            if folder in told or name in run.judged_for_others:
                continue
            for split in instead_of_test(settings.predicted, run.judged_by):
                file = results / folder / f"{predictions_name(split)}.parquet"
                table, classes = _read(file, labeled=split == "train") if file.exists() else (pd.DataFrame(), [])
                if len(table):
                    title = f"{run.title}, {name}, seed {run.seed}: {SPLIT_NAMES.get(split, split)}"
                    least = table.sort_values("doubt", ascending=False, kind="stable").iloc[:MOST]
                    pictures, notes = _pictures(settings, run.dataset, split, least, resources, descriptions)
                    yield Predicted(title, _counts(table, classes), _names(least), pictures, notes)
                    told.add(folder)


def _read(file: Path, *, labeled: bool) -> tuple[pd.DataFrame, list[str]]:
    """Return row, source, predicted_class and its probability `sure` of all or the labeled rows, and all classes.

    `doubt` is the sum of the other classes' probabilities, which differs where `sure` rounds to 1. The file, which
    gather writes for a classifier, has a column for each class, and is read a few rows at a time.
    """
    stored = pq.ParquetFile(file)
    chances = probability_columns(stored.schema_arrow.names)
    parts = [pd.DataFrame(columns=_KEPT)]
    for batch in stored.iter_batches(_ROWS_AT_A_TIME):
        rows = batch.to_pandas()
        rows = rows.dropna(subset="label") if labeled else rows
        of_classes = np.sort(rows[list(chances.values())].to_numpy(dtype=np.float64), axis=1)
        sure = {"sure": of_classes[:, -1], "doubt": of_classes[:, :-1].sum(axis=1)}
        parts.append(rows.reindex(columns=_KEPT).assign(**sure))
    return pd.concat(parts[1:] or parts), list(chances)


def _counts(predictions: pd.DataFrame, classes: Sequence[str]) -> Table:
    """Return how many images are predicted to be of each class."""
    sure = predictions["sure"].groupby(predictions["predicted_class"])
    number = sure.size().reindex(list(classes), fill_value=0)
    if len(classes) > _MOST_CLASSES:
        number = number.sort_values(ascending=False, kind="stable")
    mean = sure.mean()
    rows = [
        [
            str(name),
            f"{count:,}",
            f"{100 * count / len(predictions):.1f}",
            f"{100 * mean[str(name)]:.1f}" if count else "",
        ]
        for name, count in number.iloc[:_MOST_CLASSES].items()
    ]
    if len(classes) > _MOST_CLASSES:
        rest = int(number.iloc[_MOST_CLASSES:].sum())
        share = f"{100 * rest / len(predictions):.1f}"
        rows.append([f"{len(classes) - _MOST_CLASSES:,} further classes", f"{rest:,}", share, ""])
    return [["predicted class", "images", "% of the split", "mean probability in %"], *rows]


def as_html(found: Sequence[Predicted]) -> Markup:
    """Return a section of the page, nothing where there are no predictions."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    return Markup(template.render(found=found) if found else "")  # noqa: S704 - the template escapes


def _names(least: pd.DataFrame) -> list[str]:
    told = zip(least["predicted_class"], least["sure"], least["source"], strict=True)
    return [f"{name}, {100 * sure:.0f} %\n{'' if pd.isna(source) else source}".rstrip() for name, sure, source in told]


def _pictures(
    settings: SummarySettings,
    dataset: str,
    split: str,
    least: pd.DataFrame,
    resources: Path,
    descriptions: Mapping[str, Description],
) -> tuple[list[str], list[str]]:
    """Return a small picture of each image, and how they show them; none where images are not there or not shown."""
    array = array_of(split)
    if not settings.pictures or not (resources / dataset / f"{array}.images.npy").exists():
        return [], []
    form = descriptions[dataset].image_format
    images = read_images(resources / dataset, array)
    mix = mix_of(settings.displays.get(dataset), form, dataset)
    contrast = contrast_of_split(images, mix, is_photo=form.is_photo)
    chosen = np.asarray(images[least["row"].to_numpy(dtype=np.int64)])
    small = thumbnails(contrast.stretched(chosen) if contrast else chosen, _SIDE, mix)
    channels = in_words(legend_of(mix, form))
    notes = [*([channels] if channels else []), *([BRIGHTENED] if contrast else [])]
    return [sprite(tile[None], _MOST_BYTES) for tile in small], notes
