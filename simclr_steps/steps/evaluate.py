"""Judge a frozen encoder by its features: nearest neighbors and a linear probe, on the hold-out and the test split."""

from __future__ import annotations

from pathlib import Path

from simclr_steps.data.packed import read_description
from simclr_steps.evaluation.protocol import check_place, extract, labeled_images, measure, no_labels, unmeasured
from simclr_steps.machine.options import Hardware
from simclr_steps.machine.provenance import Record
from simclr_steps.methods.augmenter import tell_left_out
from simclr_steps.methods.probe_views import views_of
from simclr_steps.networks.encoders import load_encoder
from simclr_steps.networks.user_code import augmentation_code
from simclr_steps.settings.evaluation import EvaluationSettings
from simclr_steps.settings.judged import JudgedBy


def evaluate(
    settings: EvaluationSettings,
    *,
    encoder: Path,
    data: Path,
    seed: int,
    judged_by: JudgedBy = "test",
    out: Path,
    hardware: Hardware,
) -> None:
    """Measure what a frozen encoder knows; no earlier step but `compare` reads the test split.

    Writes into `out` knn.json and linear.json, what `measure` says of the input `simclr`. Images without a label are
    left out and counted. Judged by the hold-out, nothing of the test split is read.
    """
    check_place(out)
    description = read_description(data)
    own_code = augmentation_code(settings.augmentation)
    record = Record("evaluate", settings, description.content_hash, seed, own_code)
    network = load_encoder(encoder)
    form = description.image_format
    tell_left_out(settings.augmentation, form.channels, is_color=form.is_color)
    given = labeled_images(data, description, judged_by)
    if given:
        device = hardware.claim().device
        features = extract(network, given, device, views_of(settings.augmentation, network.architecture, seed))
        measured = measure("simclr", features, given, settings, device)
    else:
        measured = unmeasured("simclr", settings, no_labels(judged_by))
    facts = {"judged_by": judged_by, "unlabeled_left_out": given.left_out}
    measured.write(out, {**facts, "run": record.finish() | network.architecture.origin})
