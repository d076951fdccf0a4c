"""The files that a finished run leaves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

# In the data set's folder: what fine-tunings from scratch share of runs that train a network of tests/own_encoders.py.
SCRATCH = "compare/random-mine=without_batch_norm-seed0"

_FOUND = ("duplicates.csv", "outliers.csv", "clusters.csv", "to_label.csv", "mistakes.csv")
EXPLORED = ("explore.html", "explore.json", *_FOUND)


def assert_results(
    run: Path,
    finetunes: Sequence[str],
    *,
    split: str = "test",
    shared: Sequence[str] = (),
    start: str = SCRATCH,
    explored: bool = True,
) -> None:
    """Assert that every file of the results layout is there for one run, and for the fine-tunings that runs share."""
    expected = [
        "pretrain/last.ckpt",
        "pretrain/checkpoints.csv",
        "pretrain/history.csv",
        "pretrain/run.json",
        "pretrain/checksums.json",
        "encoder/encoder.safetensors",
        "encoder/selection.json",
        "evaluate/knn.json",
        "evaluate/linear.json",
        "evaluate/correct.npz",
        f"features/{split}/backbone.npy",
        f"features/{split}/projection_head.npy",
        f"features/{split}/rows.parquet",
        f"features/{split}/run.json",
        "umap/map.html",
        "umap/points.parquet",
        "umap/quality.json",
        *(f"umap/{layer}.{kind}" for layer in ("backbone", "projection_head") for kind in ("png", "svg", "csv")),
        *(f"galleries/{gallery}.{kind}" for gallery in ("augmentation", "neighbors") for kind in ("png", "svg")),
        "galleries/run.json",
        *(f"explore/{file}" for file in EXPLORED if explored),
        *(
            f"{folder}/{file}"
            for folder in (
                *(f"finetune/{name}" for name in finetunes),
                *(f"../../{start}/finetune/{name}" for name in shared),
            )
            for file in (
                *("model.safetensors", "metrics.json", "history.csv", "correct.npz"),
                *("predictions.parquet", "predictions.json", "mistakes.csv"),
            )
        ),
    ]
    assert [name for name in expected if not (run / name).stat().st_size] == []
    for curves in ("pretrain/tensorboard", *(f"finetune/{name}/tensorboard/draw0" for name in finetunes)):
        assert list((run / curves).glob("events.out.tfevents.*")), curves
