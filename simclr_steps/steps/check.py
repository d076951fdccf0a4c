"""Check that a data set has what the experiments ask of it, before anything is trained on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from simclr_steps.data.packed import Description, read_description
from simclr_steps.data.requirements import (
    require_batch,
    require_classes,
    require_color,
    require_hold_out,
    require_labeled_hold_out,
    require_labels,
    require_labels_for_umap,
    require_labels_to_vote,
)
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.methods.fitting import fitted_numbers
from simclr_steps.settings.demands import Demands, PretrainDemands
from simclr_steps.settings.display import mix_of
from simclr_steps.settings.judged import instead_of_test

_SMALL_BATCH, _FEW_UPDATES = 32, 10  # in an epoch
_FEW_POINTS = 50  # of which UMAP shows little
_FEW_TO_JUDGE = 100  # labeled images, whose accuracy has an interval of ± 10 points


def check(demands: Demands, *, data: Path) -> None:
    """Compare what is asked of a packed data set with its dataset.json.

    Where labels of whole groups are asked, the labels and groups of the training split are read, too.

    Raises
    ------
    UserError
        If an experiment would fail for lack of images, labels or channels, naming the key to fix.
    """
    description = read_description(data)
    for pretrain, settings in demands.pretrains.items():
        with _named(f"{pretrain}: "):
            require_batch(description.trained_on, data.name, settings.global_batch_size)
        _tell_what_does_not_fit(pretrain, settings, description.trained_on)
    for augmented, keys in demands.color_keys.items():
        with _named(f"{augmented}: "):
            require_color(description.image_format.channels, keys, is_color=description.image_format.is_color)
    require_hold_out(description.splits["validation"].images, data.name, demands.criterion)
    require_labels_to_vote(description, data.name, demands.criterion)
    for finetune, block in demands.finetunes.items():
        with _named(f"finetunes.{finetune}: "):
            require_classes(description, data.name)
        with _named(f"finetunes.{finetune}."):
            require_labels(data, description, block.labels, block.draws)
            require_labeled_hold_out(description, data.name, block.keep)
        if block.epochs != "auto":
            _tell_long_warmup(f"finetunes.{finetune}", block.warmup_epochs, block.epochs, "epochs")
    mix_of(demands.display, description.image_format, data.name)
    for judged_by in demands.judged_by:
        _check_images_to_judge(description, data.name, judged_by)
        drawn = instead_of_test(demands.drawn, judged_by)
        _check_images_to_draw(description, data.name, drawn)
        for split in instead_of_test(demands.explored, judged_by):
            if not description.splits[split].images:
                raise UserError(f"explore.splits: {split} of {data.name} has no images: remove it")
        require_labels_for_umap(description, data.name, drawn, supervised=demands.supervised)


def _tell_what_does_not_fit(pretrain: str, settings: PretrainDemands, images: int) -> None:
    batch_size, epochs = fitted_numbers(images, settings.global_batch_size, settings.epochs)
    updates = images // batch_size
    warmup = settings.warmup_steps or settings.warmup_epochs * updates
    _tell_long_warmup(pretrain, warmup, epochs * updates, "updates")
    if updates < _FEW_UPDATES:
        what = f"an epoch has {updates} update{'s' * (updates != 1)}, with batches of {batch_size} of {images} images"
        is_reducible = settings.global_batch_size != "auto" and batch_size > _SMALL_BATCH
        advice = (
            "global_batch_size: auto makes more of them"
            if is_reducible
            else "add more images if you have any; they need no labels"
        )
        log.warning("warning: %s: %s: %s", pretrain, what, advice)


def _tell_long_warmup(block: str, warmup: float, training: int, unit: str) -> None:
    if warmup > training:
        what = f"the warm-up takes {warmup:g} {unit}, but training has only {training}"
        log.warning("warning: %s: %s: it never reaches learning_rate, so shorten the warm-up", block, what)


@contextmanager
def _named(block: str) -> Iterator[None]:
    """Put the block's name in front of what is wrong with it."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{block}{error}") from None


def _check_images_to_judge(description: Description, name: str, judged_by: str) -> None:
    """Raise UserError if there is no hold-out to judge the runs of a grid by; an empty test split is no error."""
    if judged_by == "validation" and not description.splits["validation"].images:
        raise UserError(
            f"experiments: runs of a grid are judged on the hold-out, but {name} has none: raise "
            f"datasets.{name}.validation_fraction above 0, or write the combinations as blocks of pretrains"
        )
    labeled = description.splits["validation"].labeled
    if judged_by == "validation" and description.splits["train"].labeled and labeled < _FEW_TO_JUDGE:
        log.warning(
            "warning: experiments: runs of a grid are judged on the hold-out, of which only %d images of %s have a "
            "label: raise datasets.%s.validation_fraction",
            *(labeled, name, name),
        )


def _check_images_to_draw(description: Description, name: str, splits: Sequence[str]) -> None:
    """Raise UserError if UMAP has nothing to draw, as the step would write into an empty plot; warn of few images."""
    in_train = description.trained_on  # all rows of its array
    counts = {**{split: one.images for split, one in description.splits.items()}, "train": in_train}
    images, split = sum(counts[split] for split in splits), " and ".join(splits)
    if not images:
        more = f", or raise datasets.{name}.{split}_fraction" if split in ("validation", "test") else ""
        if split == "unlabeled" and not description.splits["train"].labeled:
            more = ": where no image has a label, all belong to train"
        raise UserError(f"umap.split: {split} of {name} has no images to draw: choose another split{more}")
    if images < min(_FEW_POINTS, in_train):
        log.warning(
            "warning: umap.split: %s of %s has only %d images to draw: train has %d", split, name, images, in_train
        )
