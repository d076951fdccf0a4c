"""Results of runs, as the steps write them, and the settings of a summary of them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from simclr_steps.settings.judged import JudgedBy
from simclr_steps.settings.prediction import mistakes_name, predictions_name
from simclr_steps.settings.runs import GridPoint, SummarySettings
from tests.unit.digit_names import DIGITS

COMPARED = ("random", "pixels")
RECORD = {
    "step": "s",
    "settings": {"split": "test"},
    "code_hash": "c0de",
    "data_hash": "da7a",
    "seconds": 83.0,
    "hardware": {"gpus": [], "processor": "<i>Chip</i>", "cores": 2},
    "versions": {"torch": "2.11.0"},
    "image": {"file": "simclr.sif", "sha256": "d1935t"},
}


def put(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**content, "run": RECORD}))


def write_run(results: Path, seed: int, *, labeled: bool = True, pretrain: str = "simclr") -> Path:
    """Write the results of a run and of what it is compared with; accuracies tell input, labels, draw and seed."""
    folder = results / "digits" / pretrain / f"seed{seed}"
    put(folder / "pretrain" / "run.json", {"hold_out_loss": 4.5})
    history = {"epoch": [1, 2], "step": [5, 10], "loss": [5.0, 4.0], "validate_loss": [5.5, 4.5]}
    history |= {"validate_alignment": [0.5, 0.4], "validate_rankme": [20.0, 30.0]}
    rest = {"learning_rate": [0.1, 0.0], "images_per_second": [100.0, 200.0], "seconds": [60.0, 125.0]}
    pd.DataFrame(history | rest).to_csv(folder / "pretrain" / "history.csv", index=False)
    of_hold_out = {"validate_loss": 4.5, "knn_accuracy": 0.6, "images": 50}
    candidates = [{"file": "best_loss.ckpt", "epoch": 2, **of_hold_out}]
    selection = {"chosen": "best_loss.ckpt", "epoch": 2, "why": "least <b>loss</b>", "candidates": candidates}
    put(folder / "encoder" / "selection.json", selection)
    layer: dict[str, Any] = {"knn_accuracy_plane": None, "knn_accuracy_features": None, "silhouette": None}
    if labeled:
        layer = {"knn_accuracy_plane": 0.7, "knn_accuracy_features": 0.8, "silhouette": 0.3, "images": 50}
        layer["intervals"] = {"knn_accuracy_plane": [0.562, 0.809], "knn_accuracy_features": [0.67, 0.888]}
    layer["trustworthiness"] = 0.9
    quality = {name: {**layer, "note": None} for name in ("backbone", "projection_head")}
    put(folder / "umap" / "quality.json", {**quality, "neighbors": 10})
    Image.new("RGB", (8, 8)).save(folder / "umap" / "backbone.png")
    (folder / "umap" / "map.html").touch()
    inputs = {"simclr": folder / "evaluate"} | {
        name: results / "digits" / "compare" / compared for name, compared in zip(COMPARED, compared(seed), strict=True)
    }
    if not labeled:
        for name, place in inputs.items():
            put(place / "knn.json", {"input": name, "neighbors": 10, "note": "No accuracy."})
            put(place / "linear.json", {"input": name, "results": [], "note": "No accuracy."})
        return folder
    for (name, place), base in zip(inputs.items(), (0.8, 0.5, 0.6), strict=True):
        voted = {"accuracy": base + 0.1, "weighted_accuracy": base, "images": 50}
        put(place / "knn.json", {"input": name, "neighbors": 10, "test": voted, "note": None})
        few = [
            {
                "input": name,
                "labels": labels,
                "fraction": 0.1,
                "draw": draw,
                "C": 0.01,
                "split": split,
                "accuracy": accuracy,
            }
            for labels, draws in ((10, 2), (100, 1))
            for draw in range(draws)
            for split, accuracy in (("test", base + 0.02 * draw + 0.01 * seed), ("validation", 0.1))
        ]
        linear = {"input": name, "results": few, "C_chosen_on": "validation", "note": None}
        put(place / "linear.json", linear)
    return folder


def compared(seed: int) -> list[str]:
    """Return the folders of what a run is compared with, whose accuracies depend on the seed here."""
    return [f"{name}-seed{seed}" for name in COMPARED]


def write_metadata(folder: Path, **accuracies: float) -> None:
    """Write how well columns are predicted, where chance is 25 %."""
    one = {"images": 50, "chance": 0.25, "chance_most": 0.3, "shuffled": 50, "least_p": 1e-9}
    columns = {name: {**one, "accuracy": accuracy} for name, accuracy in accuracies.items()}
    put(folder / "evaluate" / "metadata.json", {"columns": columns, "neighbors": 10})


def write_finetune(folder: Path, name: str, init: str, accuracy: float, judged_by: JudgedBy = "test") -> None:
    measured: dict[str, Any] = {
        "images": 50,
        "accuracy": accuracy,
        "macro_f1": 0.5,
        "auroc": None,
        "confusion_matrix": [[1]],
    }
    measured["per_class"] = [{"class": f"<{label}>", "images": 5, "f1": label / 10} for label in range(1, 9)]
    draws = [{"draw": 0, "label_count": 10, "epochs": 250, "validation": None, "test": None, judged_by: measured}]
    content = {"labels": 10, "label_count": 10, "init": init, "freeze": False, "classes": ["a"], "draws": draws}
    content["judged_by"] = judged_by
    put(folder / "finetune" / name / "metrics.json", content)
    epochs = {"draw": [0, 0], "epoch": [1, 2], "accuracy": [0.3, 0.4], "validate_accuracy": [0.2, 0.25]}
    pd.DataFrame(epochs).to_csv(folder / "finetune" / name / "history.csv", index=False)
    label = pd.Series([*range(10)] * 6, dtype="Int64")
    chances = np.full((60, 10), 0.05)
    chances[np.arange(60), 3] = np.linspace(0.3, 0.9, 60)
    predictions = {"row": range(60), "label": label, "class": [DIGITS[number] for number in label], "prediction": 3}
    named = {f"probability_{digit}": chances[:, number] for number, digit in enumerate(DIGITS)}
    table = pd.DataFrame({**predictions, "predicted_class": "three", **named})
    table.to_parquet(folder / "finetune" / name / f"{predictions_name(judged_by)}.parquet", index=False)
    wrong = table[table["label"] != table["prediction"]]  # row 59, the last one, is the surest
    wrong[["row"]].iloc[::-1].to_csv(folder / "finetune" / name / mistakes_name(judged_by), index=False)


def settings(*seeds: int, finetunes: tuple[str, ...] = (), pretrain: str = "simclr") -> SummarySettings:
    of_all = {"dataset": "digits", "pretrain": pretrain, "finetunes": list(finetunes)}
    runs = [{**of_all, "seed": seed, "compared": compared(seed)} for seed in seeds]
    return SummarySettings.model_validate({"runs": runs})


def write_sweep(results: Path, count: int) -> SummarySettings:
    """Write the results of a grid of temperatures, each with 100 epochs and four pictures of 200 kB.

    Returns the settings of their summary.
    """
    noise, runs = io.BytesIO(), []
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (270, 250, 3), dtype=np.uint8)).save(noise, "PNG")
    for number in range(count):
        name = f"simclr-temperature={number / count}"
        folder = write_run(results, 0, pretrain=name)
        epochs = pd.read_csv(folder / "pretrain/history.csv").iloc[[0] * 100].assign(epoch=range(100))
        epochs.to_csv(folder / "pretrain/history.csv", index=False)
        write_finetune(folder, "tuned", "pretrained", number / count, judged_by="validation")
        (folder / "galleries").mkdir()
        for picture in ("umap/backbone", "umap/projection_head", "galleries/augmentation", "galleries/neighbors"):
            (folder / f"{picture}.png").write_bytes(noise.getvalue())
        point = GridPoint(pretrain="simclr", values={"temperature": number / count})
        [run] = settings(0, finetunes=("tuned",), pretrain=name).runs
        runs.append(run.model_copy(update={"grids": [point], "judged_by": "validation"}))
    return SummarySettings(runs=runs)
