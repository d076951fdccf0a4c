"""Which pretrainings are the best, and how they are ordered where nothing says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from simclr_steps.summary.headline import Headline


def ranked(headlines: Sequence[Headline]) -> list[str]:
    """Return the titles of the pretrainings, the best first.

    Those of a data set are compared by the accuracy of logistic regression on the frozen features with the middle one
    of the numbers of labels, on the hold-out, whatever split judges them: the test split chooses nothing, and
    `unranked` ones keep their order. The best of each data set comes before any second.
    """
    places: dict[str, int] = {}
    for dataset in dict.fromkeys(one.dataset for one in headlines):
        alike = [one for one in headlines if one.dataset == dataset]
        places |= {one.title: place for place, one in enumerate(sorted(alike, key=_accuracy, reverse=True))}
    return sorted(places, key=lambda title: places[title])


def unranked(headlines: Sequence[Headline]) -> list[str]:
    """Return the data sets of whose pretrainings nothing says which are better, as the hold-out has no accuracies."""
    of_dataset = {name: [one for one in headlines if one.dataset == name] for name in (h.dataset for h in headlines)}
    return [name for name, several in of_dataset.items() if len(several) > 1 and not any(map(_means, several))]


def order(headlines: Sequence[Headline]) -> str:
    """Say in words what the first of the `ranked` ones are."""
    counts, unordered = Counter(one.dataset for one in headlines), unranked(headlines)
    if not any(count > 1 and name not in unordered for name, count in counts.items()):
        return "the first in the config"
    return f"the best and, for {', '.join(unordered)}, the first in the config" if unordered else "the best"


def _accuracy(one: Headline) -> float:
    means = _means(one)
    return means[(len(means) - 1) // 2] if means else 0.0


def _means(one: Headline) -> list[float]:
    """Return the accuracies on the hold-out by number of labels."""
    rows = one.hold_out if one.split == "test" else one.accuracy
    means: list[float] = rows.loc[rows["series"] == "simclr", "mean"].tolist()
    return means
