"""What a first look at images showed, in sentences."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator

import numpy as np

from simclr_steps.data.first_look import FirstLook
from simclr_steps.data.likely_channels import likely_channels
from simclr_steps.data.likely_groups import look_like_groups
from simclr_steps.data.parts_of_images import COLUMNS as OF_PART
from simclr_steps.data.splits import SplitNames
from simclr_steps.settings.base import NO_LABEL, PACKED_SPLITS
from simclr_steps.settings.image_format import counted_channels
from simclr_steps.settings.written import listed, named

_FEW = 60  # images, which README's example needs


def seen(look: FirstLook, splits: SplitNames) -> Iterator[str]:
    """Yield what was seen of images, whose splits, [N], are given or drawn."""
    listing, images = look.listing, len(look.listing.names)
    decoded = "" if look.opened == look.decoded else f" and {look.decoded} of these decoded"
    yield f"Images: {images:,}, of which {look.opened} were opened{decoded}, evenly spread."
    heights, widths = zip(*look.sizes, strict=True)
    if len(set(look.sizes)) == 1:
        yield f"Size: {heights[0]} × {widths[0]} pixels, height × width."
    else:
        yield (
            f"Size: {min(heights)} × {min(widths)} to {max(heights)} × {max(widths)} pixels, height × width, "
            f"median {statistics.median_low(heights)} × {statistics.median_low(widths)}."
        )
    low, high = look.limits
    kind = "color" if look.is_color else "gray" if look.channels == 1 else counted_channels(look.channels)
    yield f"Values: {kind}, {look.dtype}, nearly all from {_number(low)} to {_number(high)}."
    if look.unreadable:
        file, reason = next(iter(look.unreadable.items()))
        yield f"Unreadable: {len(look.unreadable)} of those opened, such as {named(file.name)} ({named(reason)})."
    is_in_one_file = list(listing.files) == ["path"] and listing.boxes is None
    if is_in_one_file and (channels := likely_channels(listing.names)):
        yield (
            f"Channels: names such as {listed([file.rpartition('/')[2] for file in channels.values()])} suggest that "
            "each channel has a file of its own, unless they tell classes or sides, and here each file is taken for an "
            "image. If so, list them in a table with a column for each channel: docs/data.md shows how, under One file "
            "per channel."
        )
    yield f"Classes: {_classes(look)}."
    if look_like_groups(listing.classes):
        yield (
            "Are these classes? Their names look like those of groups, such as plates or patients. If so, put the "
            "folders into one named unlabeled, or list the images in a CSV file with the columns path, label and group."
        )
    given = [split for split in PACKED_SPLITS if split in listing.splits]
    counts = Counter(splits.tolist())
    drawn = [split for split in PACKED_SPLITS if split not in given and counts[split]]
    numbers = ", ".join(f"{split} {counts[split]:,}" for split in PACKED_SPLITS)
    yield f"Splits: {numbers}{f' ({listed(drawn)} drawn)' if drawn else ' (as given)'}."
    if images * look.parts < _FEW:
        yield (
            f"Few images: below some {_FEW} there is little to learn from, and accuracies on so few mean next to "
            "nothing. Add some, of which most need no label, or start from given weights (docs/weights.md)."
        )
    if listing.groups is not None:
        names = np.unique(listing.groups).tolist()
        yield f"Groups: {len(names):,}: {listed(names, 3)}; each is in one split."
    if further := [name for name in listing.columns if name not in OF_PART]:
        yield (
            f"Further columns: {listed(further)}. The key metadata takes a list of those that may be a batch effect, "
            "such as a plate."
        )


def _classes(look: FirstLook) -> str:
    listing = look.listing
    if not listing.classes:
        return "none; class folders, or a CSV file with the column label, would give them"
    labels = listing.labels[listing.labels != NO_LABEL]
    sizes = np.bincount(labels, minlength=len(listing.classes))
    each = [f"{named(name)} ({count:,})" for name, count in zip(listing.classes, sizes, strict=True)]
    unlabeled = len(listing.labels) - len(labels)
    without = f", and {unlabeled:,} images without" if unlabeled else ""
    alone = ", which alone gives a classifier nothing to tell apart" if len(each) == 1 else ""
    return f"{len(each):,}: {listed(each)}{without}{alone}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() or abs(value) >= 100 else f"{value:.3g}"
