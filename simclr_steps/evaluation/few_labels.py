"""What labeled images are judged by: logistic regression on some or all of the labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from simclr_steps.data.groups import Groups, Mask, by_group
from simclr_steps.data.packed import Description, Split, read_groups, read_split
from simclr_steps.data.splits import Labels, Rows, labeled_rows, stratified_draw
from simclr_steps.evaluation.balanced import balanced_accuracies
from simclr_steps.evaluation.linear_probe import Array, LinearProbe
from simclr_steps.evaluation.penalty import choose_penalty
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.machine.progress import Progress
from simclr_steps.networks.encoders import Encoder
from simclr_steps.networks.features import compute_features
from simclr_steps.settings.labels import LabelBudget, WholeGroups, in_words

_SHARES, _LEAST_PER_CLASS = (0.01, 0.1), 5

Features = dict[str, Array]  # of the labeled images of each split, float32 [N, D]
Judged = dict[str, Any]  # accuracy, what balanced_accuracies returns, and by_group where there are groups
SplitLabels = dict[str, Labels]  # int64 [N]
SplitGroups = dict[str, Groups]  # of the same images, [N]; empty where they have no groups


@dataclass
class FewLabels:
    """What logistic regression with few labels is worth."""

    results: list[dict[str, Any]] = field(default_factory=list)  # one for each label budget, draw and split
    notes: list[str] = field(default_factory=list)  # on what was left out
    right: dict[tuple[str, int], Mask] = field(default_factory=dict)  # by budget and draw: on the split last judged


def labeled_splits(folder: Path, data: Description, named: Sequence[str]) -> dict[str, Split]:
    """Return those of the named splits that have labels, train and those to judge on; none if there are not both."""
    names = [name for name in named if name in data.splits and data.splits[name].labeled]
    return {name: read_split(folder, name) for name in names} if "train" in names and len(names) > 1 else {}


def labels_of(splits: dict[str, Split]) -> SplitLabels:
    """Return the labels of the labeled images of each split."""
    return {name: split.labels[labeled_rows(split.labels)] for name, split in splits.items()}


def groups_of(folder: Path, data: Description, splits: dict[str, Split]) -> SplitGroups:
    """Return the groups of the labeled images of each split."""
    read = {name: read_groups(folder, data, name) for name in splits}
    return {name: groups[labeled_rows(splits[name].labels)] for name, groups in read.items() if groups is not None}


def features_of(network: Encoder, splits: dict[str, Split], device: torch.device, progress: Progress) -> Features:
    """Return the features of the labeled images of each split, counted by `progress`."""
    return {
        name: compute_features(network, split.images, device, rows=labeled_rows(split.labels), progress=progress)[0]
        for name, split in splits.items()
    }


def chosen_on(labels: SplitLabels) -> str:
    """Return the split that penalties are chosen on: the hold-out or, by cross-validation, train."""
    return "validation" if "validation" in labels else "train"


def hold_out(features: Features, labels: SplitLabels) -> tuple[Array, Labels] | None:
    """Return what `choose_penalty` is given of the hold-out, if there is one."""
    return (features["validation"], labels["validation"]) if "validation" in features else None


def judged(probe: LinearProbe, features: Features, labels: SplitLabels, groups: SplitGroups) -> dict[str, Judged]:
    """Return accuracy and balanced accuracy on each split but train and, with groups, what is right in each."""
    return _accuracies(_right(probe, features, labels), labels, groups)


def _right(probe: LinearProbe, features: Features, labels: SplitLabels) -> dict[str, Mask]:
    """Return which images are right of each split but train."""
    return {name: probe.right(values, labels[name]) for name, values in features.items() if name != "train"}


def _accuracies(right: dict[str, Mask], labels: SplitLabels, groups: SplitGroups) -> dict[str, Judged]:
    return {
        name: {
            "accuracy": float(np.mean(of_split)),
            **by_group(groups.get(name), accuracy=of_split),
            **balanced_accuracies(labels[name], groups.get(name), accuracy=of_split),
        }
        for name, of_split in right.items()
    }


def fitted_budgets(labels: Labels) -> list[LabelBudget]:
    """Return the budgets of `auto`: two shares of the labels, or 5 per class where a share is fewer, and all labels.

    Fewer labels than these show chance more than features.
    """
    least = _LEAST_PER_CLASS * len(np.unique(labels))
    few: list[LabelBudget] = [share if round(share * len(labels)) > least else least for share in _SHARES]
    return [*dict.fromkeys(budget for budget in few if budget != least or least < len(labels)), 1.0]


def few_labels(
    name: str,
    features: Features,
    labels: SplitLabels,
    budgets: Sequence[LabelBudget],
    draws: int,
    split_seed: int,
    device: torch.device,
    groups: SplitGroups | None = None,
) -> FewLabels:
    """Return the results of the input `name`; the penalty is chosen in the first draw of each budget."""
    found = FewLabels()
    penalty = 0.0
    of_train = (groups or {}).get("train")
    for budget, rows, draw in _draws(budgets, draws, labels["train"], of_train, split_seed, found.notes):
        few, drawn = features["train"][rows], labels["train"][rows]
        if draw == 0:
            within = None if of_train is None else of_train[rows]
            penalty, probe = choose_penalty(few[None], few, drawn, hold_out(features, labels), device, within)
        else:
            probe = LinearProbe(few[None], drawn, device).fit(penalty)
        right = _right(probe, features, labels)
        asked = str(budget) if isinstance(budget, WholeGroups) else str(len(rows))
        found.right[asked, draw] = right[list(right)[-1]]
        found.results += [
            {
                "input": name,
                "labels": len(rows),
                **({} if of_train is None else {"label_groups": len(np.unique(of_train[rows]))}),
                **({"budget": str(budget)} if isinstance(budget, WholeGroups) else {}),
                "fraction": round(len(rows) / len(labels["train"]), 6),
                "draw": draw,
                "C": penalty,
                "split": split,
                **measured,
            }
            for split, measured in _accuracies(right, labels, groups or {}).items()
        ]
    return found


def _draws(
    budgets: Sequence[LabelBudget],
    draws: int,
    labels: Labels,
    groups: Groups | None,
    split_seed: int,
    notes: list[str],
) -> Iterator[tuple[LabelBudget, Rows, int]]:
    """Yield each label budget, the rows of each of its draws, and the draw's number; note which budgets are left out.

    A budget of rows is left out if another has as many.
    """
    if len(np.unique(labels)) < 2:
        notes.append("Linear classifiers were left out: they need at least two classes.")
        return
    counts: set[int] = set()
    for budget in budgets:
        for draw in range(draws):
            try:
                rows = stratified_draw(labels, budget, (split_seed, draw), groups)
            except UserError as error:  # the other budgets and kNN are still informative
                notes.append(f"A label budget was left out: {error}.")
                log.warning("left out: %s", error)
                break
            if draw == 0:
                if len(rows) in counts and not isinstance(budget, WholeGroups):
                    notes.append(
                        f"A label budget was left out: {in_words(budget)} is {len(rows):,} labels, as another is."
                    )
                    break
                if not isinstance(budget, WholeGroups):
                    counts.add(len(rows))
                log.info("logistic regression with %d labels", len(rows))
            yield budget, rows, draw
            if len(rows) == len(labels):
                notes.append("All labels can be drawn in only one way, so there is only one draw.")
                break
