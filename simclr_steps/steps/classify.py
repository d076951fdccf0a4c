"""Classify image files: images of any origin, which need no data set, no label and no config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from simclr_steps.data.new_images import NewImages
from simclr_steps.data.row_tables import probabilities
from simclr_steps.data.table_files import check_table, whole_table
from simclr_steps.files import checksum
from simclr_steps.machine.options import Hardware
from simclr_steps.machine.provenance import Record
from simclr_steps.networks.encoders import load_classifier
from simclr_steps.networks.features import compute_features, images_at_a_time


def classify(model: Path, *, trust: str | None = None, images: Path, out: Path, hardware: Hardware) -> None:
    """Write the classes of images as a table, one row for each in the order of their paths.

    `out` ends in .parquet, .csv or .npz, and data/table_files.py tells what that means for the columns path and class,
    texts, probability, that of the class, and probability_<class> for each class (in .npz together the array
    probabilities), float32, and for the facts: the model, its classes and temperature, the unreadable images, which
    have no row, and the run record. `images` is a folder or a CSV file, as data/new_images.py reads them; for boxes,
    five more columns say where each one lies, in pixels of the whole file, and where each channel has a file, a column
    path.<channel> names it. Images are resized and scaled as prepare did it with those that the model was trained on,
    so that its predictions are those of the workflow.

    Raises
    ------
    UserError
        If there is no image, none is readable, the file is not a classifier, or `out` has another suffix.
    """
    check_table(out, model, images)
    record = Record("classify", None, None)
    network = load_classifier(model, trust=trust)
    classes = network.class_names
    found = NewImages(images, network.architecture.trained_on, "classified")
    facts: dict[str, Any] = {"model": str(model), "model_hash": checksum(model), "images": str(images.absolute())}
    facts |= {"classes": classes, "temperature": network.temperature}
    devices = hardware.claim()
    with whole_table(out, {"probabilities": [f"probability_{name}" for name in classes]}) as table:
        for batch in found.batches(images_at_a_time(found.blank), devices.workers):
            _, logits = compute_features(network, batch.images, devices.device, progress=found.progress)
            chances = probabilities(logits)
            guessed = [classes[number] for number in logits.argmax(axis=1)]
            sure = chances.max(axis=1)
            table.write({**batch.columns, "class": guessed, "probability": sure, "probabilities": chances})
        table.facts = {**facts, "skipped": found.skipped, "run": record.finish()}
    found.report(f"{len(classes)} probabilities for", out)
