"""Look through images by their features: near-duplicates, outliers, clusters, what to label, doubtful labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simclr_steps.data.csv_text import as_csv
from simclr_steps.data.original_files import original_files
from simclr_steps.data.packed import Description, read_description, read_images
from simclr_steps.data.several_splits import SeveralSplits, several_splits
from simclr_steps.evaluation.clusters import (
    agreement,
    can_be_uncertain,
    clusters,
    number_of_clusters,
    order_to_label,
    uncertain_to_label,
)
from simclr_steps.evaluation.doubtful_labels import mistakes_table
from simclr_steps.evaluation.similar_rows import Similar, directions, similar
from simclr_steps.figures.contrast import contrast_of_split, how_shown
from simclr_steps.figures.file_links import link_to
from simclr_steps.figures.picture_page import SIDE, Section, Strip, picture_page
from simclr_steps.figures.thumbnails import thumbnails
from simclr_steps.files import whole_folder, write_json, write_text
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.machine.provenance import Record
from simclr_steps.machine.replaced import Own, check_replaceable
from simclr_steps.settings.display import in_words, legend_of, mix_of
from simclr_steps.settings.explore import ExploreOfDataset

MOST_AUTO = 100_000  # images that are explored unless the splits are named
_TABLES = ("duplicates", "outliers", "clusters", "to_label", "mistakes")
_OWN = Own(  # of `out`
    (*(f"{name}.csv" for name in _TABLES), "explore.html", "explore.json"), step="explore", record="explore.json"
)
_GROUPS, _IN_A_STRIP, _OUTLIERS, _CLUSTERS, _TO_LABEL, _MISTAKES = 30, 8, 48, 50, 96, 48  # that the page shows


def explore(settings: ExploreOfDataset, *, features: Path, data: Path, seed: int, out: Path) -> None:
    """Find near-duplicates, outliers, clusters and doubtful labels by the backbone's features; propose images to label.

    Reads what gather and tabulate wrote of each split, in a folder below `features`. Writes into `out` five tables,
    each with split, row (in its array, train for unlabeled images), source and class of an image: duplicates.csv
    (group, across: whether a near-duplicate is on another side of the splits), groups across them first; outliers.csv
    (distance), the farthest first; clusters.csv (cluster, rank), the most typical first; to_label.csv (order), of
    unlabeled images, the most uncertain first where others of train have labels, or of train where there are none; and
    mistakes.csv (score, looks_wrong; prediction, probability, and as lists of JSON the sources and classes of the
    neighbors that voted), labels likely wrong first. explore.html shows the first of each, and explore.json counts
    them. No label of the test split is read, none of its images is proposed for labeling, and nothing else is chosen by
    the results.

    Raises
    ------
    UserError
        When a split that the settings name has no images, or the features are of other images or of several encoders.
    """
    check_replaceable(out, _OWN)
    description = read_description(data)
    record = Record("explore", settings, description.content_hash, seed)
    known = several_splits(features, data, description, settings.named, must=settings.splits != "auto")
    counts = known.table["split"].value_counts().reindex(settings.named, fill_value=0).to_dict()
    note = None
    if settings.splits == "auto" and len(known.table) > MOST_AUTO:
        note = (
            f"The images were not explored, as there are {len(known.table):,}, more than {MOST_AUTO:,}: name the "
            "splits in explore.splits to explore them all the same."
        )
        log.warning("%s", note)
        known = SeveralSplits(known.table[:0], known.labels[:0], None, known.arrays)
    tables, facts = _found(settings, known, description, seed)
    with whole_folder(out, _OWN) as folder:
        for name, table in tables.items():
            write_text(folder / f"{name}.csv", as_csv(table))
        write_text(folder / "explore.html", _page(settings, known, description, data, tables, facts, note, out))
        content = {"images": counts, **facts, "note": note, "run": record.finish()}
        write_json(folder / "explore.json", content)
    log.info("wrote %s", out)


def _found(
    settings: ExploreOfDataset, known: SeveralSplits, description: Description, seed: int
) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """Return the tables, whose index tells which of the images each row is, and what is counted."""
    features = known.features()
    if not np.isfinite(features).all():
        row = known.table.iloc[int(np.flatnonzero(~np.isfinite(features).all(axis=1))[0])]
        raise UserError(
            f"the features of row {row['row']} of {row['split']} ({row['source']}) are not finite: remove the image, "
            "or name other splits in explore.splits"
        )
    rows = directions(features)
    array = known.array()
    alike = similar(rows, settings.n_neighbors, settings.min_cosine, np.unique(array, return_inverse=True)[1])
    log.info("%d images: %d pairs of near-duplicates, %d across splits", len(rows), alike.pairs, alike.pairs_across)
    wanted = settings.n_clusters
    if wanted == "auto":
        wanted = number_of_clusters(len(rows), len(description.classes))
    cluster, distance = clusters(rows, wanted, seed)
    trained = np.flatnonzero(array == "train")
    if description.splits["unlabeled"].images and "unlabeled" not in settings.named:
        trained = trained[:0]  # others need a label more than these, which have one
    own = directions(features[trained])  # the test split has no part in what is proposed
    distance_of_own = similar(own, settings.n_neighbors, settings.min_cosine, np.zeros(len(own), np.int64)).distance
    given = own, distance_of_own, known.labels[trained], settings.n_to_label, seed
    by_uncertainty = can_be_uncertain(known.labels[trained])
    chosen = trained[uncertain_to_label(features[trained], *given) if by_uncertainty else order_to_label(*given)]
    clustered = known.table.assign(cluster=cluster + 1, distance=distance).sort_values(["cluster", "distance"])
    clustered.insert(1, "rank", clustered.groupby("cluster").cumcount() + 1)
    farthest = known.table.assign(distance=alike.distance).sort_values("distance", ascending=False, kind="stable")
    tables = {
        "duplicates": _duplicates(known.table, alike),
        "outliers": _with_first(farthest, "distance"),
        "clusters": _with_first(clustered, "cluster", "rank", "distance"),
        "to_label": _with_first(known.table.iloc[chosen].assign(order=np.arange(len(chosen)) + 1), "order"),
        "mistakes": mistakes_table(known, features, description.classes, settings.n_neighbors),
    }
    duplicates, mistakes = tables["duplicates"], tables["mistakes"]
    facts = {
        "duplicates": {
            "pairs": alike.pairs,
            "pairs_across": alike.pairs_across,
            "images": len(duplicates),
            "images_across": duplicates[duplicates["across"]]["split"].value_counts().sort_index().to_dict(),
        },
        "clusters": {"count": len(np.unique(cluster)), **agreement(cluster, known.labels)},
        "to_label": {"uncertain_first": by_uncertainty},
        "labels": {"judged": len(mistakes), "doubtful": int(mistakes["looks_wrong"].sum())},
    }
    return tables, facts


def _with_first(table: pd.DataFrame, *names: str) -> pd.DataFrame:
    """Return a table with some columns before the others."""
    return table[[*names, *(name for name in table if name not in names)]]


def _duplicates(table: pd.DataFrame, alike: Similar) -> pd.DataFrame:
    """Return the images that have a near-duplicate, group by group: those across splits first, then the largest."""
    sizes = np.bincount(alike.group, minlength=len(table))
    of_groups = table.assign(across=alike.across, cosine=alike.cosine, group=alike.group)
    closest = table.iloc[alike.closest]
    of_groups = of_groups.assign(closest_split=closest["split"].to_numpy(), closest_row=closest["row"].to_numpy())
    of_groups = of_groups[sizes[alike.group] > 1]
    is_across = of_groups.groupby("group")["across"].transform("any").to_numpy(dtype=np.bool_)
    group = of_groups["group"].to_numpy(dtype=np.int64)
    ordered = of_groups.iloc[np.lexsort((group, -sizes[group], ~is_across))]
    numbers = pd.factorize(ordered["group"])[0] + 1
    return _with_first(ordered.assign(group=numbers), "group", "across")


def _page(
    settings: ExploreOfDataset,
    known: SeveralSplits,
    description: Description,
    data: Path,
    tables: dict[str, pd.DataFrame],
    facts: dict[str, Any],
    note: str | None,
    out: Path,
) -> str:
    """Return the page that shows the first of each table."""
    originals = original_files(description)
    shown: dict[int, int] = {}  # the place of each image among the pictures

    def strip(rows: pd.DataFrame, heading: str = "") -> Strip:
        places = [shown.setdefault(int(image), len(shown)) for image in rows.index]
        guessed = [None if guess is None else f"→ {guess}" for guess in rows.get("prediction", [None] * len(rows))]
        told = zip(*(rows[name] for name in ("split", "row", "source", "class")), guessed, strict=True)
        captions = [
            "\n".join([f"{split} {row}", source, *(text for text in (name, guess) if not pd.isna(text))])
            for split, row, source, name, guess in told
        ]
        links = [link_to(originals / source, out) if originals else None for source in rows["source"]]
        return Strip(heading, places, captions, links)

    duplicates, clustered = tables["duplicates"], tables["clusters"]
    groups = []
    for number, group in duplicates[duplicates["group"] <= _GROUPS].groupby("group"):
        mixed = group.iloc[np.argsort(group.groupby("split").cumcount(), kind="stable")]  # of each split in turn
        across = ", across splits" if group["across"].any() else ""
        groups.append(
            strip(mixed[:_IN_A_STRIP], f"Group {number}: {len(group):,} image{'s' * (len(group) != 1)}{across}")
        )
    typical = [
        strip(cluster[:_IN_A_STRIP], f"Cluster {number}: {len(cluster):,} image{'s' * (len(cluster) != 1)}")
        for number, cluster in clustered[clustered["cluster"] <= _CLUSTERS].groupby("cluster")
    ]
    outliers = [strip(tables["outliers"][:_OUTLIERS])]
    to_label = [strip(tables["to_label"][:_TO_LABEL])]
    doubtful = tables["mistakes"][tables["mistakes"]["looks_wrong"]]
    mistakes = [strip(doubtful[:_MISTAKES])]
    found = facts["duplicates"]
    sections = [
        Section(
            "Near-duplicates",
            [
                f"{found['images']:,} images have a near-duplicate: the features of both, less the mean of all, have a "
                f"cosine similarity of at least {settings.min_cosine:g}. {found['pairs_across']:,} of "
                f"{found['pairs']:,} pairs are across splits. "
                "Where an image to train on resembles one of the test split, the accuracy on the latter may be too "
                "high. Groups across splits come first; duplicates.csv has all."
            ],
            groups,
        ),
        Section(
            "Outliers",
            [f"Images that are farthest from their {settings.n_neighbors} nearest neighbors. outliers.csv has all."],
            outliers,
        ),
        Section("Clusters", [_of_clusters(facts["clusters"])], typical),
        Section(
            "To label next",
            [
                "Typical images of different clusters, in this order: "
                + (
                    "first those that logistic regression on the labels is least certain of. "
                    if facts["to_label"]["uncertain_first"]
                    else "first of clusters without a label. "
                )
                + "None is of the test split, and none is proposed where unlabeled images are not explored. "
                "to_label.csv has all."
            ],
            to_label,
        ),
        Section("Labels that look wrong", [_of_labels(facts["labels"], settings.n_neighbors)], mistakes),
    ]
    if settings.pictures:
        images, how = _pictures(settings, known, description, data, np.fromiter(shown, dtype=np.int64))
    else:
        images, how = None, ["Pictures are left out, as page.pictures is false."]
    return picture_page(
        f"What is in the images of {data.resolve().name}", [*([note] if note else []), *how], sections, images
    )


def _of_clusters(facts: dict[str, Any]) -> str:
    """Return a sentence on how many clusters there are, and how well they agree with the labels."""
    counted = f"{facts['count']} cluster{'s' * (facts['count'] != 1)}"
    text = f"{counted} by k-means, the largest first, each with its most typical images."
    if facts["adjusted_rand_index"] is not None:
        text += (
            f" On {facts['labeled']:,} labeled images, none of the test split, they agree with the classes by an "
            f"adjusted Rand index of {facts['adjusted_rand_index']:.2f} (0 by chance, 1 if they are the same)."
        )
    return f"{text} clusters.csv has all images."


def _of_labels(facts: dict[str, Any], neighbors: int) -> str:
    """Return sentences on how many labels look wrong."""
    if not facts["judged"]:
        return "No label was judged: that takes labels, outside the test split, of two images or groups of a class."
    return (
        f"{facts['doubtful']:,} of {facts['judged']:,} labels, none of the test split, look wrong by those of the "
        f"{neighbors} nearest labeled images; the class that these suggest "
        "stands behind the arrow. Look before you change any: they may also be rare or hard images that are labeled "
        "correctly. mistakes.csv has all labels."
    )


def _pictures(
    settings: ExploreOfDataset,
    known: SeveralSplits,
    description: Description,
    data: Path,
    shown: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.uint8], list[str]]:
    """Return small copies of some images, uint8 [M, h, w, 3], and sentences on how they are shown."""
    form, array = description.image_format, known.array()[shown]
    row = known.table["row"].to_numpy(dtype=np.int64)[shown]
    mix = mix_of(settings.display, form, data.name)
    packed = {name: images for name in known.arrays if len(images := read_images(data, name))}
    contrast = contrast_of_split(next(iter(packed.values())), mix, is_photo=form.is_photo) if packed else None
    small = [np.empty((0, 1, 1, 3), dtype=np.uint8)]
    for place, name in zip(row, array, strict=True):
        image = packed[name][place : place + 1]
        small.append(thumbnails(contrast.stretched(image) if contrast else image, SIDE, mix))
    return np.concatenate(small[1:] or small), how_shown(in_words(legend_of(mix, form)), contrast)
