"""Show what pretraining sees and what it makes of it: augmented views of images, and the neighbors of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from simclr_steps.data.packed import Pixels, read_description, read_split
from simclr_steps.data.shown_images import shown_images
from simclr_steps.data.splits import Labels, Rows, labeled_rows, proportional_draw, rows_of_split
from simclr_steps.evaluation.neighbors import nearest, vote
from simclr_steps.figures.contrast import BRIGHTENED, contrast_for
from simclr_steps.figures.mosaic import LARGEST_TILE, Names, add_legend, canvas, draw_tile, head
from simclr_steps.figures.plots import COLORS, NO_LABEL_COLOR, save, sentence
from simclr_steps.figures.thumbnails import thumbnails
from simclr_steps.files import whole_folder, write_json
from simclr_steps.machine.logs import log
from simclr_steps.machine.provenance import Record
from simclr_steps.machine.replaced import Own, check_replaceable
from simclr_steps.methods import random_numbers
from simclr_steps.methods.augmenter import Augmenter
from simclr_steps.networks.user_code import augmentation_code
from simclr_steps.settings.base import NO_LABEL
from simclr_steps.settings.display import Legend, Mix, in_words, legend_of, mix_of
from simclr_steps.settings.galleries import GallerySettings
from simclr_steps.settings.sizes import as_size

Images = npt.NDArray[np.uint8]

ROWS = 8
VIEWS = 7
NEIGHBORS = 8
_OWN = Own(  # of `out`
    (*(f"{name}.{kind}" for name in ("augmentation", "neighbors") for kind in ("png", "svg")), "run.json"),
    step="galleries",
    record="run.json",
)
_BRIGHTER = f" ({BRIGHTENED})"
_NO_LABEL = "no label"
_MOST_VOTERS = 10_000  # each is compared with each
_SAME, _OTHER = COLORS[0], COLORS[2]


@dataclass(frozen=True)
class Neighborhoods:
    """Some rows of a split and the rows whose features are nearest to theirs."""

    queries: Rows  # [Q]
    neighbors: Rows  # [Q, K], nearest first

    def alone(self) -> tuple[Rows, Neighborhoods]:
        """Return all rows that are here, sorted, and these neighborhoods among no others."""
        every = np.unique([*self.queries, *self.neighbors.ravel()])
        return every, Neighborhoods(np.searchsorted(every, self.queries), np.searchsorted(every, self.neighbors))


def galleries(settings: GallerySettings, *, features: Sequence[Path], data: Path, seed: int, out: Path) -> None:
    """Draw augmented views of training images, and images of a split, or of several, with their nearest neighbors.

    Reads what gather wrote for an encoder, or tabulate for unlabeled images, in one folder or several. Writes
    augmentation and neighbors into `out`, as .png and .svg, and run.json. Without labels nothing is said to be right or
    wrong.
    """
    check_replaceable(out, _OWN)
    description = read_description(data)
    own_code = augmentation_code(settings.augmentation)
    record = Record("galleries", settings, description.content_hash, seed, own_code)
    shown, train = shown_images(features, data, description), read_split(data, "train")
    named = rows_of_split("train", train.labels)
    rows = named[proportional_draw(train.labels[named], ROWS, seed)]
    mix = mix_of(settings.display, description.image_format, data.name)
    legend = legend_of(mix, description.image_format)
    augmenter = Augmenter(
        settings.augmentation, as_size(settings.view_size), is_color=description.image_format.is_color
    )
    views = views_of(train.images, rows, augmenter, seed)
    may_stretch = not description.image_format.is_photo
    with whole_folder(out, _OWN) as folder:
        save(draw_views(train.images[rows], views, mix, legend, may_stretch=may_stretch), folder / "augmentation")
        if len(shown) < 2:
            figure = sentence(f"No neighbors to show: {shown.counted}.")
        else:
            around = neighborhoods(shown.features("backbone", np.arange(len(shown))), shown.labels, seed)
            every, around = around.alone()
            figure = draw_neighbors(
                *(around, shown.images(every), shown.labels[every], description.classes, mix, legend),
                may_stretch=may_stretch,
            )
        save(figure, folder / "neighbors")
        write_json(
            folder / "run.json",
            {"split": ", ".join(shown.splits), "channels": in_words(legend), "run": record.finish()},
        )
    log.info("wrote %s", out)


def views_of(images: Pixels, rows: Rows, augmenter: Augmenter, seed: int) -> Images:
    """Return views of some rows, of which training sees the first ones in its first epoch.

    Takes [N, H, W, C]; returns uint8 [len(rows), VIEWS, height, width, C].
    """
    key = random_numbers.keys(seed, 0, torch.from_numpy(rows), VIEWS)
    views = augmenter(torch.from_numpy(images[rows]), key)
    return np.asarray((views.permute(1, 0, 3, 4, 2) * 255).round().to(torch.uint8))


def neighborhoods(features: npt.NDArray[np.float32], labels: Labels, seed: int) -> Neighborhoods:
    """Choose rows, [N, D] features and [N] labels, and find their nearest others by cosine similarity.

    If there are labels, half of the chosen rows, or as many as possible, have neighbors that vote for another class;
    these come last. Of many labeled rows a sample votes and is chosen from.
    """
    labeled = labeled_rows(labels)
    if not len(labeled):
        return _around(features, proportional_draw(labels, ROWS, seed))
    if len(labeled) == 1:
        return _around(features, labeled)
    labeled = labeled[proportional_draw(labels[labeled], _MOST_VOTERS, seed)]
    of_labeled = nearest(features[labeled], features[labeled], NEIGHBORS, leave_one_out=True)[0].numpy()
    right = vote(labels[labeled][of_labeled]) == labels[labeled]
    wrong_rows, right_rows = labeled[~right], labeled[right]
    wrong = wrong_rows[proportional_draw(labels[wrong_rows], max(ROWS // 2, ROWS - len(right_rows)), seed)]
    queries = right_rows[proportional_draw(labels[right_rows], ROWS - len(wrong), seed)]
    return _around(features, np.concatenate([queries, wrong]))


def _around(features: npt.NDArray[np.float32], queries: Rows) -> Neighborhoods:
    """Return some rows with their nearest others."""
    found = nearest(features, features[queries], NEIGHBORS + 1)[0].numpy()
    others = [row[row != query][:NEIGHBORS] for row, query in zip(found, queries, strict=True)]
    return Neighborhoods(queries, np.stack(others))


def draw_views(
    originals: Pixels,
    views: Images,
    mix: Mix | None = None,
    legend: Legend | None = None,
    *,
    may_stretch: bool = False,
) -> Figure:
    """Return a figure with a row for each image: the image and its views, [R, V, height, width, C].

    If `may_stretch`, dim images are shown brighter, all by one stretch, which the figure says.
    """
    contrast = contrast_for(originals, mix) if may_stretch else None
    if contrast:
        originals, views = contrast.stretched(originals), contrast.stretched(views)
    figure, axes = canvas(len(originals), 1 + views.shape[1])
    for row, (original, of_one) in enumerate(zip(thumbnails(originals, LARGEST_TILE, mix), views, strict=True)):
        draw_tile(axes, original, row, 0)
        for column, view in enumerate(thumbnails(of_one, LARGEST_TILE, mix), start=1):
            draw_tile(axes, view, row, column)
    head(axes, "image", f"random views of it{_BRIGHTER if contrast else ''}")
    add_legend(figure, legend or {})
    return figure


def draw_neighbors(
    shown: Neighborhoods,
    images: Pixels,
    labels: Labels,
    classes: list[str],
    mix: Mix | None = None,
    legend: Legend | None = None,
    *,
    may_stretch: bool = False,
) -> Figure:
    """Return a figure with a row for each query: the query and its neighbors, framed by their class.

    The images are those that are shown, [M, H, W, C], and no others.
    If `may_stretch`, dim images are shown brighter, all by one stretch, which the figure says.
    """
    contrast = contrast_for(images, mix) if may_stretch else None
    labeled = len(labeled_rows(labels)) > 0
    names = Names.of(classes[label] if label != NO_LABEL else _NO_LABEL for label in labels if labeled)
    figure, axes = canvas(len(shown.queries), 1 + shown.neighbors.shape[1], names)
    for row, (query, near) in enumerate(zip(shown.queries, shown.neighbors, strict=True)):
        some = images[np.array([query, *near])]
        tiles = thumbnails(contrast.stretched(some) if contrast else some, LARGEST_TILE, mix)
        for column, (tile, number) in enumerate(zip(tiles, [query, *near], strict=True)):
            label = labels[number]
            name = classes[label] if label != NO_LABEL else _NO_LABEL if labeled else ""
            frame = None if not column or not labeled else _frame(label, labels[query])
            draw_tile(axes, tile, row, column, name, frame, names)
    head(axes, "query", f"nearest neighbors, closest first{_BRIGHTER if contrast else ''}")
    frames = [
        Patch(fill=False, edgecolor=_SAME, linewidth=1.6, label="same class"),
        Patch(fill=False, edgecolor=_OTHER, linewidth=1.6, linestyle=":", label="different class"),
    ]
    add_legend(figure, legend or {}, *(frames if labeled else []))
    return figure


def _frame(label: int, wanted: int) -> dict[str, Any]:
    if label == NO_LABEL:
        return {"edgecolor": NO_LABEL_COLOR}
    return {"edgecolor": _SAME} if label == wanted else {"edgecolor": _OTHER, "linestyle": (0, (1, 1))}
