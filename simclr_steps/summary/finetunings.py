"""Reads a fine-tuning of a run."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from simclr_steps.data.correct import read_correct
from simclr_steps.settings.judged import splits_judged
from simclr_steps.settings.prediction import mistakes_name, predictions_name
from simclr_steps.summary.confusion import confusion
from simclr_steps.summary.parents import METRICS
from simclr_steps.summary.run_results import GROUPED, RunResults, of_share

_SHARES = ("accuracy", "top_5_accuracy", "balanced_accuracy")  # of the metrics, those of images


def read_finetuning(collected: RunResults, place: Path, name: str) -> None:
    """Read what the fine-tuning of this name left in its folder, if it has run."""
    stage = f"finetune {name}"
    metrics = collected.read(stage, place / "metrics.json")
    if not metrics:
        return
    collected.check_data(stage, place)
    by, draws = collected.run.judged_by, metrics["draws"]
    if (place / "correct.npz").exists() and collected.shows([split for split, of_draw in draws[0].items() if of_draw]):
        collected.tuned[name] = read_correct(place / "correct.npz")
    predictions, mistakes = place / f"{predictions_name(by)}.parquet", place / mistakes_name(by)
    is_there = predictions.exists() and mistakes.exists()
    if is_there and metrics.get("judged_by", "test") == by:  # runs of both kinds share some
        collected.confusions[name] = confusion(pd.read_parquet(predictions))
        collected.predictions[name] = predictions
    history = place / "history.csv"
    if history.exists():
        collected.finetune_histories[name] = pd.read_csv(history)
    of_draws = [draw[by].get("per_class", []) for draw in draws if draw[by]]
    collected.per_class[name] = [row for rows in of_draws for row in rows]
    series = f"finetune-{metrics['init']}{'-frozen' if metrics['freeze'] else ''}"
    for draw in draws:
        labels = draw.get("label_count", metrics["label_count"])
        keys = {"input": name, "labels": labels, "draw": draw["draw"], "series": series}
        keys |= {key: draw[key] for key in GROUPED if key in draw}
        collected.add("finetune", "epochs", draw["epochs"], **keys)
        for split in splits_judged(by):
            measured = draw[split] or {}
            of_parents = measured.get("parents") or {}
            for metric, named in METRICS.items():
                judged = {**of_share(of_parents, metric, of_parents.get("images")), "split": split}
                collected.add("finetune", named, of_parents.get(metric), **judged, **keys)
            for metric, value in measured.items():
                if isinstance(value, float):  # a confusion matrix and the number of images are not metrics
                    of_images = of_share(measured, metric, measured["images"]) if metric in _SHARES else {}
                    collected.add("finetune", metric, value, split=split, **of_images, **keys)
