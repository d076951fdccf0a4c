"""Turn image files into features: for images of any origin, which need no data set, no label and no config."""

from __future__ import annotations

from pathlib import Path

from simclr_steps.data.new_images import NewImages
from simclr_steps.data.table_files import check_table, whole_table
from simclr_steps.files import checksum
from simclr_steps.machine.options import Hardware
from simclr_steps.machine.provenance import Record
from simclr_steps.networks.encoders import load_network
from simclr_steps.networks.features import compute_features, images_at_a_time


def embed(encoder: Path, *, trust: str | None = None, images: Path, out: Path, hardware: Hardware) -> None:
    """Write the features of images as a table, one row for each in the order of their paths.

    `out` ends in .parquet, .csv or .npz, and data/table_files.py tells what that means for the columns path, a text,
    and features, D float32, and for the facts: the encoder, the unreadable images, which have no row, and the run
    record. `images` is a folder or a CSV file, as data/new_images.py reads them; for boxes, five more columns say where
    each one lies, in pixels of the whole file, and where each channel has a file, a column path.<channel> names it.
    Images are resized and scaled as prepare did it with those that the encoder was trained on.

    Raises
    ------
    UserError
        If there is no image, none is readable, the file is not an encoder, or `out` has another suffix.
    """
    check_table(out, encoder, images)
    record = Record("embed", None, None)
    network = load_network(encoder, trust=trust)
    found = NewImages(images, network.architecture.trained_on, "embedded")
    facts = {"encoder": str(encoder), "encoder_hash": checksum(encoder), "images": str(images.absolute())}
    devices = hardware.claim()
    with whole_table(out) as table:
        for batch in found.batches(images_at_a_time(found.blank), devices.workers):
            features, _ = compute_features(network, batch.images, devices.device, progress=found.progress)
            table.write({**batch.columns, "features": features})
        table.facts = {**facts, "skipped": found.skipped, "run": record.finish()}
    found.report(f"{network.feature_size} features for", out)
