"""Labels that are likely not what the user means: said before anything is trained on them."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import PurePath

import numpy as np

from simclr_steps.data.groups import in_one_group
from simclr_steps.data.listing import Listing
from simclr_steps.data.packed import Description
from simclr_steps.data.splits import JUDGED, SplitNames
from simclr_steps.settings.base import NO_LABEL

_NAMED = 5  # classes in a sentence
_MANY = 10  # classes, from which on each should have some images
_LEAST_IMAGES, _LEAST_IMAGES_OF_NUMBERS = 3, 10  # of a class on average; fewer are no classes
_WITHOUT_SPACES = str.maketrans("", "", " _-")
_MISSING = frozenset({"na", "n/a", "none", "null", "unknown", "?", "-"})  # or classes: who knows


def doubts(source: Listing, splits: SplitNames) -> Iterator[str]:
    """Yield a sentence for each reason to doubt that the labels are the classes which the user means.

    `splits` [N] is the split of each row, "" for one that is left out.
    """
    labeled = source.labels[source.labels != NO_LABEL]
    counts = np.bincount(labeled, minlength=len(source.classes))
    present = [name for name, count in zip(source.classes, counts, strict=True) if count]
    if len(present) == 1:
        yield _of_one_class(source, present[0], len(labeled))
    if len(present) >= _MANY and len(labeled) < _least_images(present) * len(present):
        yield _of_many_classes(present, len(labeled))
        return  # what follows asks how classes are spelled, and these are none
    if absent := [name for name, count in zip(source.classes, counts, strict=True) if present and not count]:
        yield f"{len(absent)} of {len(counts)} classes have no image ({_listed(absent)}): check how labels are numbered"
    missing = [name for name in present if name.lower() in _MISSING]
    if missing:
        yield f"{_listed(missing)} is treated as a class: if it stands for a missing label, leave the label empty"
    yield from _of_spelling(present)
    yield from _of_unseen_classes(source, splits)
    yield from _of_single_groups(source)


def _of_one_class(source: Listing, name: str, images: int) -> str:
    sentence = f"all {images} labeled images are of one class, {_listed([name])}"
    rows = np.flatnonzero(source.labels != NO_LABEL).tolist()
    inner = sorted({_below(PurePath(source.names[row]).parent, name) for row in rows})
    if inner and inner[0]:
        return f"{sentence}: if its subfolders ({_listed(inner)}) are the classes or splits, put them in its place"
    return f"{sentence}: label images of other classes, too, or leave the labels out"


def _below(folder: PurePath, name: str) -> str:
    """Return the subfolder of a class's folder that leads to an image, "" if it is in none."""
    parts = folder.parts
    place = parts.index(name) + 1 if name in parts else len(parts)
    return parts[place] if place < len(parts) else ""


def _least_images(present: Sequence[str]) -> int:
    """Return how many images the classes should have on average, to be classes."""
    numbers = _numbers(present)
    is_row_of_numbers = len(numbers) > 0 and numbers[-1] - numbers[0] == len(numbers) - 1  # as 0 to 9
    return _LEAST_IMAGES_OF_NUMBERS if numbers and not is_row_of_numbers else _LEAST_IMAGES


def _of_many_classes(present: Sequence[str], images: int) -> str:
    kind = "measurements" if _numbers(present) else "names of individual images"
    return (
        f"{images} labeled images have {len(present)} different labels ({_listed(present)}), which look like {kind}: "
        "group them into a few classes, or leave the labels out"
    )


def _numbers(names: Sequence[str]) -> list[float]:
    """Return names as numbers, sorted; nothing if one is no number."""
    try:
        return sorted(map(float, names))
    except ValueError:
        return []


def _of_spelling(present: Sequence[str]) -> Iterator[str]:
    spellings: defaultdict[str, list[str]] = defaultdict(list)
    for name in present:
        if not _numbers([name]):
            spellings[_spelled_alike(name)].append(name)
    for names in spellings.values():
        if len(names) > 1:
            yield f"{_listed(names)} are {len(names)} classes: if they are the same one, spell it the same way"


def _spelled_alike(name: str) -> str:
    """Return what all spellings of a name share, whatever their case, spaces and Unicode form (one ä, or a and ¨)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).translate(_WITHOUT_SPACES)


def _of_unseen_classes(source: Listing, splits: SplitNames) -> Iterator[str]:
    """Name classes that are judged and not trained on."""
    trained_on = [source.classes[label] for label in np.unique(source.labels[splits == "train"]) if label != NO_LABEL]
    for split in JUDGED if trained_on else ():
        judged = [source.classes[label] for label in np.unique(source.labels[splits == split]) if label != NO_LABEL]
        unseen = sorted(set(judged) - set(trained_on))
        if unseen:
            meant = [f'is "{name}" meant to be "{near}"?' for name in unseen if (near := _nearest(name, trained_on))]
            advice = " ".join(meant[:_NAMED]) or "add images of them to train"
            yield f"classes in {split} that no image in train has ({_listed(unseen)}): {advice}"


def _nearest(name: str, others: Sequence[str]) -> str:
    """Return the class whose name is another spelling of this one, or else differs by a slip; "" if there is none."""
    if _numbers([name]):
        return ""
    alike = [other for other in others if _spelled_alike(other) == _spelled_alike(name)]
    return next(iter(alike or get_close_matches(name, others, n=1)), "")


def _of_single_groups(source: Listing) -> Iterator[str]:
    """Name classes that cannot be on two sides of a split."""
    if source.groups is not None:
        single = [source.classes[label] for label in in_one_group(source.labels, source.groups)]
        if single:
            yield (
                f"each of these classes is in a single group ({_listed(single)}), so it cannot be in both training and "
                "evaluation: add images of other groups"
            )


def unjudged_classes(data: Description) -> Iterator[str]:
    """Say which classes are trained on and absent from a split of whole groups; other splits have a share of each."""
    for split in JUDGED:
        judged, trained_on = data.splits[split], data.splits["train"]
        counts = zip(data.classes, trained_on.per_class, judged.per_class, strict=True)
        absent = [name for name, trained, count in counts if trained and not count]
        if judged.groups is not None and judged.labeled and absent:
            yield (
                f"no group in {split} has images of {_listed(absent)}, so its accuracy says nothing about that: add "
                f"groups, raise {split}_fraction, or name the split of each image yourself."
            )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(f'"{name}"' for name in names[:_NAMED]) + more
