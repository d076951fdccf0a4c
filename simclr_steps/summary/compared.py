"""What SimCLR is compared with, and by how much it is better."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from simclr_steps.summary.headline import SERIES
from simclr_steps.summary.notes import Note, Weight
from simclr_steps.summary.paired import difference
from simclr_steps.summary.run_results import RunResults


@dataclass(frozen=True)
class Difference:
    """SimCLR's features beside the best of what comes for free, with one budget of labels, as shares of 1."""

    labels: str
    other: str
    accuracy: float
    of_other: float
    mean: float
    low: float
    high: float

    @property
    def is_better(self) -> bool:
        """Return whether SimCLR is better, whatever images were drawn for the split."""
        return self.low > 0

    def __str__(self) -> str:
        """Return the words "with 50 labels 84.1 %, ImageNet (resnet50) 81.0 %: 3.1 points better (2.2 to 4.0)"."""
        low, high = 100 * self.low, 100 * self.high
        verdict, interval = f"{100 * self.mean:.1f} points better", f"{low:.1f} to {high:.1f}"
        if self.high < 0:
            verdict, interval = f"{-100 * self.mean:.1f} points worse", f"{-high:.1f} to {-low:.1f}"
        elif not self.is_better:
            verdict, interval = f"no clear difference, {100 * self.mean:+.1f} points", f"{low:+.1f} to {high:+.1f}"
        accuracies = f"{100 * self.accuracy:.1f} %, {self.other} {100 * self.of_other:.1f} %"
        return f"with {self.labels} labels {accuracies}: {verdict} ({interval})"


def compared(runs: Sequence[RunResults]) -> Iterator[Note]:
    """Yield a note for the budgets of each pretraining with which SimCLR is not better, and one for the others."""
    by_pretraining: dict[tuple[str, str], list[RunResults]] = {}
    for run in runs:
        by_pretraining.setdefault((run.run.dataset, run.run.pretrain), []).append(run)
    for whose, of_one in by_pretraining.items():
        found = differences(of_one)
        for weight, chosen in (
            (Weight.FAILED, [str(one) for one in found if not one.is_better]),
            (Weight.COMPARED, [str(one) for one in found if one.is_better]),
        ):
            if chosen:
                yield Note(weight, f"SimCLR features beside the best that comes for free: {'; '.join(chosen)}.", *whose)


def differences(runs: Sequence[RunResults]) -> list[Difference]:
    """Return the difference of one pretraining for each budget of labels.

    Each is a mean over seeds and draws of labels, which both share; the interval is that of the images judged.
    """
    own = [run.correct["simclr"] for run in runs if "simclr" in run.correct]
    if not own:
        return []
    others = [name for name in dict.fromkeys(name for run in runs for name in run.correct) if name != "simclr"]
    found = []
    for budget in dict.fromkeys(budget for budget, _ in own[0].right):
        shares = {name: _share(runs, name, budget) for name in ("simclr", *others)}
        measured = {name: share for name, share in shares.items() if len(share)}
        mine = measured.pop("simclr")
        if measured:
            best = max(measured, key=lambda name: float(measured[name].mean()))
            accuracies = float(mine.mean()), float(measured[best].mean())
            apart = difference(mine - measured[best], own[0].groups)
            found.append(Difference(budget, SERIES.get(best, best), *accuracies, *apart))
    return found


def _share(runs: Sequence[RunResults], name: str, budget: str) -> npt.NDArray[np.float64]:
    """Return the share of an input's classifiers that are right about each image, [N], empty without any."""
    masks = [
        mask
        for run in runs
        if name in run.correct
        for (asked, _), mask in run.correct[name].right.items()
        if asked == budget
    ]
    return np.mean(masks, axis=0) if masks else np.zeros(0)


def uncompared(rows: pd.DataFrame) -> Iterator[Note]:
    """Yield a note for each data set with accuracies whose runs were compared with no encoder off the shelf."""
    for name, of_dataset in rows.groupby("dataset", sort=False):
        series = set(of_dataset["series"])
        if "simclr" in series and "published" not in series:
            text = (
                "no published encoder was compared, so it is not known whether one that costs no training is better: "
                "name some under compare, such as torchvision:resnet50."
            )
            yield Note(Weight.UNMEASURED, text, str(name))
