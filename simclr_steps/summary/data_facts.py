"""What there is to know of a data set, and how many images each of its splits has."""

from __future__ import annotations

from simclr_steps.data.packed import Description
from simclr_steps.data.scaling import is_plain
from simclr_steps.settings.image_format import ImageFormat, counted_channels
from simclr_steps.summary.protocol import plain
from simclr_steps.summary.tables import SPLIT_NAMES, Table

_MOST_CLASSES = 20  # whose images are counted in a row


def data_facts(description: Description) -> dict[str, Table]:
    """Return two tables: `facts`, a line each, and `splits`, with a header."""
    source = {key: value for key, value in description.source.items() if isinstance(value, str)}
    settings = description.run.get("settings") or {}
    classes, form = description.classes, description.image_format
    has_groups = any(split.groups is not None for split in description.splits.values())
    drawn = ", stratified by label" * bool(classes) + ", in whole groups" * has_groups
    facts = [
        ["source", plain(source)],
        ["images", _images(form)],
        ["classes", f"{len(classes)}: {', '.join(classes[:_MOST_CLASSES])}{', …' * (len(classes) > _MOST_CLASSES)}"]
        if classes
        else ["classes", "none: no image has a label"],
        ["hold-out", f"{settings['validation_fraction']:g} of the training images{drawn}"]
        if "validation_fraction" in settings
        else ["hold-out", "unknown"],
        ["skipped as unreadable", f"{len(description.skipped)} image{'s' * (len(description.skipped) != 1)}"],
        ["content hash", description.content_hash],
    ]
    counted = classes if len(classes) <= _MOST_CLASSES else ["of each class"]
    splits = [["split", "images", "labeled", *(["groups"] if has_groups else []), *counted]]
    for name, split in description.splits.items():
        per_class = [f"{count:,}" for count in split.per_class]
        if len(classes) > _MOST_CLASSES:
            per_class = [f"{min(split.per_class):,} to {max(split.per_class):,}"]
        groups = [f"{split.groups or 0:,}"] if has_groups else []
        splits.append([SPLIT_NAMES.get(name, name), f"{split.images:,}", f"{split.labeled:,}", *groups, *per_class])
    return {"facts": facts, "splits": splits}


def _images(form: ImageFormat) -> str:
    """Return the format of images in words, which say no more of plain 8 bits than their size and channels."""
    names = f" ({', '.join(form.channel_names)})" if form.channel_names else ""
    said = f"{form.height} × {form.width} pixels, {counted_channels(form.channels)}{names}"
    if is_plain(form):
        return said
    ranges = [f"{low:,.6g} to {high:,.6g}" for low, high in form.value_range]
    channels = form.channel_names or [f"channel {number}" for number in range(form.channels)]
    of_each = [f"{channel} {limits}" for channel, limits in zip(channels, ranges, strict=True)]
    return f"{said}, {form.bits} bits, range {ranges[0] if len(set(ranges)) == 1 else ', '.join(of_each)}"
