"""What a pretraining is worth by its own figures: whether it collapsed, did not learn, or lost what it was given.

It is judged at the end; a collapse is also reported during training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as L

from simclr_steps.machine.logs import log
from simclr_steps.settings.pretrain import FittedPretrain
from simclr_steps.training.history import History

_Row = Mapping[str, Any]  # of the history

# RankMe does not center: one direction is the mean, which all images share. Below 2, all others together weigh less
# than a second one. Random networks, on digits and photographs, began with 2 to 11, and trainings that kNN shows to be
# good ended with 5 of 16 to 50 of 512.
_COLLAPSED_RANK = 2.0
_LEAST_POSSIBLE_RANK = 10  # of so few images or features a rank of 2 is no wonder
# Wang and Isola's uniformity is at least -2 times the mean squared distance of two images' projections on the unit
# sphere: above this, their mean cosine similarity exceeds 0.975.
_ALIKE = -0.1
# Of what the loss gains where positives meet and others are orthogonal. Untrained networks were within 0.5 % of chance;
# the weakest training that had learned anything, of 20 steps, had gained 1.5 %.
_NO_GAIN = 0.01
# Below it, kNN no better than with random weights is a failure; above it, the network learned, and all labels may just
# be easy to tell: on digits, random ResNets have 93 to 97 %, and the demo, whose gain is 0.4, ends with 95 %.
_LITTLE_GAIN = 0.1
_TRAIN_OTHERWISE = "lower the learning rate, check the temperature, or train longer if that was short"


def verdict(settings: FittedPretrain, rows: Sequence[_Row], *, features: int, images: int, labeled: int) -> str | None:
    """Return what is wrong with a finished pretraining, one sentence that begins with the verdict, None if nothing is.

    Judged are the loss of the last epoch and, as far as the hold-out was, effective rank, uniformity and kNN accuracy
    after the last epoch beside those before the first step, which are those of random weights, or of the given ones.

    Parameters
    ----------
    rows
        Those of the history, from epoch 0 to the last.
    features
        How many the backbone has.
    images
        How many of the hold-out were judged each time.
    labeled
        How many of these have a label.
    """
    first, last = rows[0], rows[-1]
    if collapsed := _collapsed_rank(last, min(features, images)):
        return f"{collapsed}: {_TRAIN_OTHERWISE}"
    gain = _gain(settings, last["loss"])
    at_chance = f"the final {_at_chance(settings, last['loss'])}" if gain <= _NO_GAIN else None
    if at_chance and _became_alike(first, last):
        alike = f"all images have the same projection (uniformity {last['validate_uniformity']:.3f})"
        return f"collapsed: {alike}, and {at_chance}: {_TRAIN_OTHERWISE}"
    if at_chance:
        return f"did not learn: {at_chance}: {_TRAIN_OTHERWISE}"
    before, after = first.get("validate_knn_accuracy"), last.get("validate_knn_accuracy")
    if before is None or after is None:
        return None
    shown = f"{100 * before:.1f} % before the first step and is {100 * after:.1f} % after the last"
    if settings.parent:
        start, advice = "those of the pretraining that it continues", "continue with a lower learning rate"
        return _of_start(before, after, start, shown, advice)
    if settings.starts_from_weights:
        advice = "lower backbone_learning_rate_factor, or raise freeze_epochs"
        return _of_start(before, after, "the given weights'", shown, advice)
    return _of_random_weights(before, after, labeled, shown, little_gain=gain < _LITTLE_GAIN)


def _collapsed_rank(row: _Row, possible: int) -> str | None:
    rank = row.get("validate_rankme")
    if rank is None or rank >= _COLLAPSED_RANK or possible < _LEAST_POSSIBLE_RANK:
        return None
    return f"collapsed: effective rank {rank:.1f} of {possible}"


class CollapseWarning(L.Callback):
    """Warns once while it trains that an encoder has collapsed; it must stand behind the history.

    That is when an effective rank first is that of a collapse. An untrained network whose rank is as low is no
    collapse: one that stays so is told in the second half of the training, if the loss has stayed at chance as well.
    `possible` is the largest rank of the features of the judged images.
    """

    def __init__(self, history: History, settings: FittedPretrain, possible: int) -> None:
        self._history, self._settings, self._possible = history, settings, possible

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Warn if the epoch is the first one that collapsed, and not the last, after which the verdict tells."""
        *before, last = self._history.rows
        found, epochs = self._found(last), self._settings.epochs
        if found and last["epoch"] != epochs and not any(map(self._found, before)):
            log.warning("warning: after epoch %d of %d, the encoder has %s", last["epoch"], epochs, found)

    def _found(self, row: _Row) -> str | None:
        found = _collapsed_rank(row, self._possible)
        if not found or not _collapsed_rank(self._history.rows[0], self._possible):
            return found
        if 2 * row["epoch"] < self._settings.epochs or _gain(self._settings, row["loss"]) > _NO_GAIN:
            return None
        return f"{found}, as before the first step, and the {_at_chance(self._settings, row['loss'])}"


def _gain(settings: FittedPretrain, loss: float) -> float:
    """Return how far a loss is from that of a network that tells no images apart to that of well spread images."""
    others, positives = _others(settings), settings.views - 1
    well_spread = math.log(positives + (others - positives) * math.exp(-1 / settings.temperature))
    return (math.log(others) - loss) / (math.log(others) - well_spread)


def _others(settings: FittedPretrain) -> int:
    """Return how many views a view is compared with, its positives among them."""
    return settings.views * settings.global_batch_size - 1


def _at_chance(settings: FittedPretrain, loss: float) -> str:
    others = _others(settings)
    chance = math.log(others)
    shown, of_chance = f"{loss:.3f}", f"{chance:.3f}"
    relation = "is hardly lower than" if loss < chance else "is no lower than"
    if shown == of_chance:
        relation = "equals"
    return f"loss, {shown}, {relation} that of chance, ln {others} = {of_chance}"


def _became_alike(first: _Row, last: _Row) -> bool:
    """Return whether training made projections alike, which those of random weights may be from the start."""
    before, after = first.get("validate_uniformity"), last.get("validate_uniformity")
    return before is not None and after is not None and after > max(before, _ALIKE)


def _of_random_weights(before: float, after: float, labeled: int, shown: str, *, little_gain: bool) -> str | None:
    """Judge kNN accuracies: of two equal encoders, one would be better by a standard error in one case of six."""
    mean = (before + after) / 2
    error = math.sqrt(mean * (1 - mean) / labeled)
    advice = "train longer, or look in the galleries whether views keep what the labels are about"
    if before - after > 2 * error:
        return f"training made the features worse than random ones: kNN accuracy on the hold-out was {shown}: {advice}"
    if little_gain and after - before <= error:
        found = f"kNN on the {labeled:,} labeled images of the hold-out is not clearly better than with random weights"
        return f"did not learn: {found}: its accuracy was {shown}: {advice}"
    return None


def _of_start(before: float, after: float, start: str, shown: str, advice: str) -> str | None:
    """Judge kNN accuracies beside those of the encoder that training started from."""
    if after > before:
        return None
    found = "worse" if round(1000 * after) < round(1000 * before) else "no better"  # as far as the sentence shows
    return f"training made the features {found} than {start}: the hold-out's kNN accuracy was {shown}: {advice}"
