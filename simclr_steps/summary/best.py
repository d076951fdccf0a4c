"""Which pretrainings are the best."""

from __future__ import annotations

from collections.abc import Sequence

from simclr_steps.summary.headline import Headline


def best(headlines: Sequence[Headline], most: int) -> list[str]:
    """Return the titles of the best pretrainings, the best first.

    They are compared where they are judged on the same images, by the accuracy of logistic regression on the frozen
    features with the middle one of the numbers of labels, on the hold-out if there is one: the test split chooses
    nothing. The best of each data set comes before any second.
    """
    places: dict[str, int] = {}
    for on in dict.fromkeys((one.dataset, one.split) for one in headlines):
        alike = [one for one in headlines if (one.dataset, one.split) == on]
        places |= {one.title: place for place, one in enumerate(sorted(alike, key=_accuracy, reverse=True))}
    return sorted(places, key=lambda title: places[title])[:most]


def _accuracy(one: Headline) -> float:
    rows = one.hold_out if len(one.hold_out) else one.accuracy
    means = rows.loc[rows["series"] == "simclr", "mean"].tolist()
    return float(means[(len(means) - 1) // 2]) if means else 0.0
