"""What to do with a finished run: commands and lines of Python to copy, with the run's own paths."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from simclr_steps.summary.run_results import RunResults


@dataclass(frozen=True)
class NextStep:
    """Something to do, and how."""

    purpose: str
    code: str  # a command, or lines of Python


def next_steps(runs: Sequence[RunResults], results: Path, resources: Path) -> list[NextStep]:
    """Return what the first run can be used for; its paths are those that the summary was given.

    A classifier is one of its fine-tunings, that from the pretrained encoder if there is one.
    """
    if not runs:
        return []
    run = runs[0].run
    folder = results / run.folder
    encoder, classifier = folder / "encoder" / "encoder.safetensors", _classifier(runs[0], results)
    on_images = "--images my_images --out"
    steps = []
    if classifier:
        steps.append(
            NextStep("Classify new images", _command("classify", model=classifier) + f" {on_images} classes.csv")
        )
    features = {"features": folder / "features", "data": resources / run.dataset}
    steps += [
        NextStep(
            "Compute features of new images", _command("embed", encoder=encoder) + f" {on_images} features.parquet"
        ),
        NextStep(
            "Find similar images",
            _command("search", encoder=encoder, **features) + " --image my_image.png --out found.csv",
        ),
        NextStep("Export the encoder", _command("export", encoder=encoder) + " --out encoder.onnx"),
    ]
    lines = [
        *(["from PIL import Image", ""] if classifier else []),
        f"from simclr_steps.use import embed_images, {'load_classifier, ' if classifier else ''}load_encoder",
        "",
        f"encoder = load_encoder({encoder.as_posix()!r})",
        'features = embed_images(encoder, ["my_image.png"])  # float32, one row per image',
    ]
    if classifier:
        lines += [
            f"classifier = load_classifier({classifier.as_posix()!r})",
            'probabilities = classifier([Image.open("my_image.png")])  # classifier.classes has the names',
        ]
    return [*steps, NextStep("Use it in Python", "\n".join(lines))]


def _classifier(one: RunResults, results: Path) -> Path | None:
    folders = one.run.classifiers
    trained = [name for name in folders if f"finetune {name}" in one.records]
    own = [name for name in trained if name not in one.run.starts]
    return results / folders[(own or trained)[0]] / "model.safetensors" if trained else None


def _command(step: str, **paths: Path) -> str:
    return " ".join(["simclr", step, *(f"--{name} {shlex.quote(path.as_posix())}" for name, path in paths.items())])
