"""Draw gathered features in the plane with UMAP, and measure how far the picture can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simclr_steps.data.asked_columns import require_columns
from simclr_steps.data.columns import Column, column_of
from simclr_steps.data.packed import Description, Pixels, read_description
from simclr_steps.data.points_table import PICTURE, points_table
from simclr_steps.data.requirements import require_labels_for_umap
from simclr_steps.data.row_tables import class_names
from simclr_steps.data.shown_images import shown_images
from simclr_steps.data.splits import Labels, Rows, proportional_draw
from simclr_steps.evaluation.clusters import clusters, number_of_clusters
from simclr_steps.evaluation.similar_rows import directions
from simclr_steps.evaluation.umap_layout import (
    ACCURACIES,
    MEASURES,
    VOTERS,
    Floats,
    layout,
    layout_quality,
    neighbors_kept,
    own_votes,
)
from simclr_steps.figures.contrast import Contrast, contrast_of_split, how_shown
from simclr_steps.figures.map_page import IN_A_SHEET, MOST_INLINED, SHEETS, map_page
from simclr_steps.figures.plots import save, sentence
from simclr_steps.figures.points import Coloring, Points, quality_lines, shuffled
from simclr_steps.figures.scatter import draw, draw_columns
from simclr_steps.figures.thumbnails import sheet_file, thumbnails
from simclr_steps.files import whole_folder, write_json, write_text
from simclr_steps.machine.logs import log
from simclr_steps.machine.provenance import Record
from simclr_steps.machine.replaced import Own, check_replaceable
from simclr_steps.settings.base import NO_LABEL
from simclr_steps.settings.display import Mix, in_words, legend_of, mix_of
from simclr_steps.settings.umap import UmapOfDataset, UmapSettings
from simclr_steps.summary.intervals import ByGroup, interval

LAYERS = ("backbone", "projection_head")
LEAST_ROWS = 10  # below, there is no layout
_TILE = 32  # pixels
_IMAGES_AT_A_TIME = 256
_MOST_VALUES = 1000  # of a column that the page can color by
_KNOWN = ("row", "source", "label", "class", "x", "y", "prediction")  # of a layer's table
_OWN = Own(  # of `out`
    (
        *(f"{layer}.{kind}" for layer in LAYERS for kind in ("csv", "png", "svg")),
        *("map.html", f"{SHEETS}/[0-9]*.webp", "points.parquet", "quality.json"),
    ),
    step="umap",
    record="quality.json",
    alone=("metadata.png", "metadata.svg"),  # which Snakemake leaves when the settings name no column any more
)


def umap(settings: UmapOfDataset, *, features: Sequence[Path], data: Path, out: Path) -> None:
    """Lay out the features of backbone and projection head in the plane.

    Reads what gather wrote for an encoder, or tabulate for unlabeled images, in one folder or several, which are drawn
    together. Writes into `out`, for each layer, <layer>.csv (split, unlabeled for images of train without a label; row,
    x, y, label, class, group, and further columns but those named like one of these), .png and .svg, and quality.json
    for all; with `columns`, metadata.png and .svg, too: the backbone's points colored by each of them. map.html is
    interactive, has both layers and needs no network; of more than 10,000 points its images are in the folder
    map_images. points.parquet has both layers in one table, with the vote of the neighbors in the backbone's features,
    a cluster of these features, further columns but those named like one of its own, and a small picture of each image,
    unless `pictures` is false: then the map has none either.
    UMAP sees no label unless `supervised` is set, and the plot then says so. A split of few rows is laid out with fewer
    neighbors than `n_neighbors`, and one of less than 10 rows not at all: the files then say so.

    Raises
    ------
    UserError
        When there are no labels to supervise with.
    """
    check_replaceable(out, _OWN)
    description = read_description(data)
    record = Record("umap", settings, description.content_hash, settings.random_state)
    form = description.image_format
    mix = mix_of(settings.display, form, data.name)
    shown = shown_images(features, data, description)
    rows, labels = shown.table, shown.labels
    require_columns(settings.columns, map(str, rows), data.name)
    drawn = np.arange(len(rows))
    if len(rows) > settings.max_points:
        drawn = proportional_draw(labels, settings.max_points, settings.random_state)
    rows = rows.iloc[drawn].reset_index(drop=True)
    quality: dict[str, Any] = {}
    layers: list[Points] = []
    contrast = contrast_of_split(next(iter(shown.arrays.values())), mix, is_photo=form.is_photo)
    cluster = _clusters(shown.features(LAYERS[0], drawn), len(description.classes), settings.random_state)
    with whole_folder(out, _OWN) as folder:
        if len(drawn) < LEAST_ROWS:
            quality |= _say_too_few(rows, shown.counted, folder, settings.columns)
        else:
            require_labels_for_umap(description, data.name, shown.splits, supervised=settings.supervised)
            title = _title(settings, data.resolve().name, shown.name, len(drawn), labels)
            for layer in LAYERS:
                values = shown.features(layer, drawn)
                log.info("%s: %d points of %d values", layer, *values.shape)
                points, quality[layer] = _points(settings, layer, values, rows, labels[drawn], title, description)
                layers.append(points)
                table = points.table.sort_index()
                table[_columns_of_points(rows)].to_csv(folder / f"{layer}.csv", index=False)
                save(draw(points), folder / layer)
            if layers[0].columns:
                save(draw_columns(layers[0]), folder / "metadata")
        table = _shown(rows, layers, cluster, description.classes)
        images = None
        if settings.pictures:
            images = _write_images(folder, table, _tiles(shown.images, drawn, mix, contrast))
        else:
            (folder / SHEETS).mkdir()
            table.to_parquet(folder / "points.parquet", index=False)
        if layers:
            tile, of_images = None, []
            if settings.pictures:
                tile = thumbnails(shown.images(drawn[:1]), _TILE, mix).shape[1:3]
                of_images = how_shown(in_words(legend_of(mix, form)), contrast)
            colorings = _colorings(layers[0], cluster)
            title = [f"Map of {title[0]}", *title[1:]]
            page = map_page(title, layers, colorings, tile, images=images, of_images=of_images)
            write_text(folder / "map.html", page)
        described = {"split": ", ".join(shown.splits), "neighbors": VOTERS, "run": record.finish()}
        write_json(folder / "quality.json", {**quality, **described})
    log.info("wrote %s", out)


def _points(
    settings: UmapOfDataset,
    layer: str,
    values: Floats,
    rows: pd.DataFrame,
    labels: Labels,
    title: list[str],
    description: Description,
) -> tuple[Points, dict[str, Any]]:
    """Return the points of a layer, features [N, D], and their quality."""
    plane = layout(settings, values, labels)
    votes = own_votes(values, labels, settings.metric)
    groups = rows["group"].to_numpy(dtype=np.str_) if "group" in rows else None
    quality = layout_quality(settings, values, plane, labels, votes, groups)
    if "images" in quality:
        quality["intervals"] = {
            name: interval(quality[name], quality["images"], ByGroup.of(quality.get("by_group"), name))
            for name in ACCURACIES
        }
    table = shuffled(rows.assign(x=plane[:, 0], y=plane[:, 1], prediction=votes), settings.random_state)
    columns = [column_of(name, table[name].fillna("").tolist()) for name in settings.columns]
    colorings = tuple(map(_coloring, columns))
    title = [f"{layer.replace('_', ' ').capitalize()} features of {title[0]}", *title[1:]]
    return Points(layer, title, quality_lines(quality), table, description.classes, colorings), quality


def _columns_of_points(rows: pd.DataFrame) -> list[str]:
    """Return the columns of a layer's table: those of the rows but the source, and where the points are."""
    first = ["split", "row", "x", "y", "label", "class"]
    return [*first, *(str(name) for name in rows if name not in (*first, "source"))]


def _clusters(values: Floats, classes: int, seed: int) -> Labels:
    """Return the cluster of each row of features, [N, D], from 1, the largest first."""
    return clusters(directions(values), number_of_clusters(len(values), classes), seed)[0] + 1


def _shown(rows: pd.DataFrame, layers: list[Points], cluster: Labels, classes: list[str]) -> pd.DataFrame:
    """Return the table of points.parquet without its pictures; without layers, it says of no point where it is."""
    known: dict[str, Any] = {"split": rows["split"], "row": rows["row"]}
    tables = {one.layer: one.table.sort_index() for one in layers}
    for layer in LAYERS:
        for axis in "xy":
            known[f"{layer}_{axis}"] = tables[layer][axis] if tables else np.full(len(rows), np.nan, np.float32)
    votes = tables[LAYERS[0]]["prediction"] if tables else pd.Series(pd.NA, index=rows.index, dtype="Int64")
    known |= {
        "path": rows["source"],
        "label": rows["class"],
        "prediction": class_names(votes.fillna(NO_LABEL).to_numpy(dtype=np.int64), classes),
        "cluster": cluster,
    }
    others = [name for name in rows if name not in (*known, "source", "class", PICTURE)]
    return pd.DataFrame(known | {name: rows[name] for name in others})


def _say_too_few(rows: pd.DataFrame, counted: str, folder: Path, columns: list[str]) -> dict[str, Any]:
    """Write all layers' files for a split that is too small to lay out; return their quality, which has no value."""
    text = f"Features were not plotted: {counted}, and UMAP needs at least {LEAST_ROWS}."
    log.warning("%s", text)
    quality: dict[str, Any] = dict.fromkeys((*MEASURES, "trustworthiness"))
    for layer in LAYERS:
        rows.assign(x=np.nan, y=np.nan)[_columns_of_points(rows)].to_csv(folder / f"{layer}.csv", index=False)
        save(sentence(text), folder / layer)
    head = '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Map</title>'
    write_text(folder / "map.html", f"{head}<h1>Map</h1><p>{text}</p></html>")
    if columns:
        save(sentence(text), folder / "metadata")
    return {layer: {**quality, "note": text} for layer in LAYERS}


def _tiles(
    images: Callable[[Rows], Pixels], drawn: Rows, mix: Mix | None, contrast: Contrast | None
) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield small copies of the drawn images, as many at a time as a sheet has."""
    for start in range(0, len(drawn), IN_A_SHEET):
        of_sheet = drawn[start : start + IN_A_SHEET]
        parts = np.array_split(of_sheet, range(_IMAGES_AT_A_TIME, len(of_sheet), _IMAGES_AT_A_TIME))
        shown = (contrast.stretched(images(part)) if contrast else images(part) for part in parts)
        yield np.concatenate([thumbnails(some, _TILE, mix) for some in shown])


def _write_images(
    folder: Path, table: pd.DataFrame, tiles: Iterator[npt.NDArray[np.uint8]]
) -> npt.NDArray[np.uint8] | None:
    """Write the table with its pictures; return them for the page, or write them beside it if they are many."""
    kept: list[npt.NDArray[np.uint8]] = []
    (folder / SHEETS).mkdir()
    with points_table(folder / "points.parquet", table) as append:
        for number, some in enumerate(tiles):
            append(some)
            if len(table) <= MOST_INLINED:
                kept.append(some)
            else:
                (folder / SHEETS / f"{number:04}.webp").write_bytes(sheet_file(some))
    return np.concatenate(kept) if kept else None


def _colorings(points: Points, cluster: Labels) -> list[Coloring]:
    """Return what the page can color points by: classes, votes, clusters, and each column with few enough values."""
    table = points.table
    votes = table["prediction"].fillna(NO_LABEL).astype(int).tolist()
    by_class = [points.by_class(), Coloring("prediction", points.classes, votes, "no vote")] if points.labeled else []
    of_points = cluster[table.index.to_numpy()] - 1
    by_cluster = Coloring("cluster", [str(number + 1) for number in range(max(of_points) + 1)], of_points.tolist())
    asked = {one.name for one in points.columns}
    others = [str(name) for name in table if name not in (*_KNOWN, *asked)]
    further = [column_of(name, table[name].fillna("").astype(str).tolist()) for name in others]
    more = [_coloring(one) for one in further if 1 < len(one.values) <= _MOST_VALUES]
    return [*by_class, by_cluster, *points.columns, *more]


def _coloring(column: Column) -> Coloring:
    return Coloring(column.name, column.values, column.codes.tolist(), ranges=column.ranges)


def _title(settings: UmapSettings, dataset: str, name: str, points: int, labels: Labels) -> list[str]:
    thinned = f", sampled from {len(labels):,}" if points < len(labels) else ""
    neighbors = f"n_neighbors {settings.n_neighbors}"
    if neighbors_kept(settings, points) < settings.n_neighbors:
        neighbors = f"n_neighbors {points - 1} (instead of {settings.n_neighbors}: too few points)"
    lines = [
        f"{dataset}, {name}",
        f"{points:,} points{thinned}; {neighbors}, min_dist {settings.min_dist:g}, {settings.metric}",
    ]
    if settings.supervised:
        lines.append("supervised: UMAP was given the labels")
    if (labels == NO_LABEL).all():
        lines.append("no image has a label")
    return lines
