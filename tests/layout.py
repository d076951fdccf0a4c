"""The files that a finished run leaves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def assert_results(run: Path, finetunes: Sequence[str], *, split: str = "test") -> None:
    """Assert that every file of the results layout is there for one run."""
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
        "umap/quality.json",
        *(
            f"umap/{layer}.{kind}"
            for layer in ("backbone", "projection_head")
            for kind in ("png", "svg", "html", "csv")
        ),
        *(f"galleries/{gallery}.{kind}" for gallery in ("augmentation", "neighbors") for kind in ("png", "svg")),
        "galleries/run.json",
        *(
            f"finetune/{name}/{file}"
            for name in finetunes
            for file in (
                *("model.safetensors", "metrics.json", "history.csv", "correct.npz"),
                *("predictions.parquet", "predictions.json"),
            )
        ),
    ]
    assert [name for name in expected if not (run / name).stat().st_size] == []
