"""Train a classifier, from the pretrained encoder or from random or published weights, on a share of the labels."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simclr_steps.data.correct import Correct, read_correct, write_correct
from simclr_steps.data.groups import by_group
from simclr_steps.data.packed import Description, Split, read_description, read_groups, read_rows, read_split
from simclr_steps.data.requirements import require_classes, require_labeled_hold_out
from simclr_steps.data.splits import Rows, labeled_rows, stratified_draw
from simclr_steps.evaluation.balanced import balanced_accuracies
from simclr_steps.evaluation.calibration import LARGEST, LEAST, calibration_error, fitted_temperature
from simclr_steps.evaluation.metrics import classification_metrics
from simclr_steps.evaluation.parents import by_parent
from simclr_steps.files import checksum, read_json, read_table, write_json, write_table
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.machine.options import NORMAL_SAVING, Devices, Hardware, Saving
from simclr_steps.machine.provenance import Record
from simclr_steps.machine.replaced import Own, check_not_read
from simclr_steps.methods.augmenter import tell_left_out
from simclr_steps.methods.classifier import BestEpoch, Supervised, labeled_logits
from simclr_steps.methods.off_the_shelf import started
from simclr_steps.networks.architecture import Architecture, resolve
from simclr_steps.networks.encoders import Classifier, Encoder, hash_of_weights, load_encoder, save_network
from simclr_steps.networks.features import check_images
from simclr_steps.networks.from_scratch import draw_brought_weights
from simclr_steps.networks.user_code import augmentation_code
from simclr_steps.settings.finetuned import FinetunedSettings
from simclr_steps.settings.image_format import ImageFormat
from simclr_steps.settings.judged import JudgedBy, splits_judged
from simclr_steps.settings.labels import WholeGroups
from simclr_steps.training.checked_files import CheckedFiles
from simclr_steps.training.history import History
from simclr_steps.training.loggers import OF_TENSORBOARD, Loggers, publish
from simclr_steps.training.published import check_place, kept, place_files
from simclr_steps.training.resuming import fit, resumable
from simclr_steps.training.trainer import build_trainer
from simclr_steps.training.work_folder import work_folder

_MODEL = "model.safetensors"
_CURVES = "tensorboard"
_OWN_CURVES = Own(tuple(f"draw[0-9]*/{name}" for name in OF_TENSORBOARD))
# What `out` gets, the last when all is there.
_PLACED = {"correct.npz": None, _MODEL: None, "history.csv": None, _CURVES: _OWN_CURVES, "metrics.json": None}


def finetune(
    settings: FinetunedSettings,
    *,
    data: Path,
    encoder: Path | None = None,
    weights: Path | None = None,
    seed: int,
    judged_by: JudgedBy = "test",
    out: Path,
    work: Path,
    hardware: Hardware,
    saving: Saving = NORMAL_SAVING,
) -> None:
    """Train one classifier for each draw of the labels and judge it on the hold-out and, at the end, on the test split.

    Judged by the hold-out, nothing of the test split is read.

    `encoder` is the pretrained one, where the settings name no network. `weights` is what download_weights wrote, for
    `init: published`.

    Writes into `out`: model.safetensors (the first draw's classifier), history.csv, tensorboard/ with a folder for each
    draw, metrics.json and correct.npz (which images of the test split each draw's classifier is right about, or of the
    hold-out where that split is not read or has no labels).

    Raises
    ------
    UserError
        When fewer than two classes have labels, when the hold-out lacks the labels that `keep` needs, when the images
        are of another kind than the encoder was made for, or when encoder or published weights are not given.
    """
    check_not_read(out / _MODEL, encoder)
    check_place(out, _PLACED)
    description = read_description(data)
    classes = description.classes
    require_classes(description, data.name)
    require_labeled_hold_out(description, data.name, settings.keep)
    own_code = augmentation_code(settings.augmentation)
    record = Record("finetune", settings, description.content_hash, seed, own_code)
    train, groups = read_split(data, "train"), read_groups(data, description, "train")
    rows_of_draws = [
        stratified_draw(train.labels, settings.labels, (description.split_seed, draw), groups)
        for draw in range(settings.draws)
    ]
    form = description.image_format
    architecture, begins_with = _start(settings, encoder, weights, form, train)
    tell_left_out(settings.augmentation, form.channels, is_color=form.is_color)
    claimed = hardware.claim()
    devices = replace(claimed, gpus=min(1, claimed.gpus), processes=1, nodes=1)

    built = {} if encoder else {"architecture": architecture.model_dump(mode="json")}
    start = checksum(encoder) if encoder else built
    given = settings.model_dump(mode="json"), seed, judged_by
    made_of = (*given, record.code_hash, own_code, description.content_hash, start)
    with work_folder(work, *made_of, place=partial(place_files, out=out, names=_PLACED)) as folder:
        for draw, rows in enumerate(rows_of_draws):
            if not (folder / f"draw{draw}.json").exists():
                network = partial(_classifier, settings, architecture, begins_with, len(classes))
                module = _train(settings, network, train, rows, data, (seed, draw), folder, devices, saving)
                drawn: dict[str, Any] = {"draw": draw, "label_count": len(rows)}
                if groups is not None:
                    drawn["label_groups"] = len(np.unique(groups[rows]))
                if isinstance(settings.labels, WholeGroups):
                    drawn["budget"] = str(settings.labels)
                _judge(module, description, data, drawn, judged_by, folder, devices.device)
                CheckedFiles().remove_checkpoint(folder / f"draw{draw}.ckpt")
        draws = [read_json(folder / f"draw{draw}.json") for draw in range(settings.draws)]
        with kept(folder) as published:
            facts = {"judged_by": judged_by, **built, "run": record.finish() | architecture.origin}
            _write(settings, classes, draws, folder, published, facts)
    for draw in draws:
        shown = ", ".join(f"{name} {draw[name]['accuracy']:.4f}" for name in splits_judged(judged_by) if draw[name])
        log.info("draw %d: accuracy %s", draw["draw"] + 1, shown or "unknown, as no image to judge by has a label")


def _start(
    settings: FinetunedSettings, encoder: Path | None, weights: Path | None, form: ImageFormat, train: Split
) -> tuple[Architecture, Encoder | None]:
    """Return the network's architecture and the encoder that it starts from, None for random weights."""
    if settings.as_pretraining:
        if encoder:
            raise UserError(f"--encoder: init: {settings.init} starts from no encoder: omit it")
        if settings.init == "random":
            return resolve(settings.as_pretraining, form), None
        published = started(settings.as_pretraining, form, weights, frozen=settings.freeze)
        return published.architecture, published
    if encoder is None:
        raise UserError("init: pretrained needs an encoder: name the encoder.safetensors of select by --encoder")
    pretrained = load_encoder(encoder)
    check_images(pretrained, train.images)
    return pretrained.architecture, pretrained


def _classifier(
    settings: FinetunedSettings, architecture: Architecture, begins_with: Encoder | None, classes: int
) -> Classifier:
    """Return an untrained classifier, whose random weights are drawn from torch's random state."""
    network = Classifier(architecture, classes, settings.head)
    if begins_with:
        network.backbone.load_state_dict(begins_with.backbone.state_dict())
        network.normalization.load_state_dict(begins_with.normalization.state_dict())
    else:
        draw_brought_weights(network.backbone, architecture)
    return network


def _train(
    settings: FinetunedSettings,
    build: Callable[[], Classifier],
    train: Split,
    rows: Rows,
    data: Path,
    seed: tuple[int, int],
    folder: Path,
    devices: Devices,
    saving: Saving,
) -> Supervised:
    """Train the classifier of one draw's rows; `seed` is the run's seed and the draw's number."""
    number = int(np.random.SeedSequence(seed).generate_state(1)[0])
    torch.manual_seed(number)
    network = build()
    module = Supervised(settings, network, train, read_split(data, "validation"), rows, number)
    given = (seed[1] + 1, settings.draws, len(rows), settings.init, module.epochs, "s" * (module.epochs != 1))
    log.info("draw %d of %d: %d labels, %s weights, %d epoch%s", *given)
    if settings.class_weights == "balanced":
        weights = module.get_buffer("weights")[rows]
        log.info("class_weights: balanced: an image counts %.2f to %.2f in the loss", weights.min(), weights.max())
    if settings.keep == "best" and 1 < module.epochs <= module.judged_every:
        log.warning(
            "warning: keep: best has no effect, as only the last of %d epochs is judged: use more than %d",
            module.epochs,
            module.judged_every,
        )
    history = History(module)
    best = [BestEpoch(history, module)] if settings.keep == "best" else []
    told = {"seed": seed[0], "draw": seed[1], **settings.model_dump(mode="json"), "epochs": module.epochs}
    loggers = Loggers(history, _logged(folder, seed[1]), told)
    checkpoint = folder / f"draw{seed[1]}.ckpt"
    trainer = build_trainer(
        devices,
        precision=settings.precision,
        epochs=module.epochs,
        callbacks=resumable(checkpoint, saving, number, history, *best, loggers),
    )
    frozen = hash_of_weights(network.backbone) if settings.freeze else None
    fit(trainer, module, checkpoint, if_memory_is_full=f"lower batch_size, which is {settings.batch_size}")
    if frozen and hash_of_weights(network.backbone) != frozen:
        raise RuntimeError("the frozen backbone has changed")
    write_table(folder / f"draw{seed[1]}.history.csv", [{"draw": seed[1], **row} for row in history.rows])
    return module


def _logged(folder: Path, draw: int) -> Path:
    """Return the folder of what is logged of a draw's training."""
    return folder / f"draw{draw}"


def _judge(
    module: Supervised,
    description: Description,
    data: Path,
    drawn: dict[str, Any],
    judged_by: JudgedBy,
    folder: Path,
    device: torch.device,
) -> None:
    """Write the results of one draw; only now, when nothing is left to choose, is the test split read, if it judges.

    The device is an argument because Lightning moves a module to the CPU when its training ends.
    """
    classes, draw = description.classes, drawn["draw"]
    result = drawn | {"epochs": module.epochs, "epoch": module.kept_epoch}
    correct, temperature = Correct({}, None), 1.0
    for name in splits_judged(judged_by):
        split = read_split(data, name)
        logits, labels = labeled_logits(module.network, split, device)
        if name == "validation":
            result["temperature"] = temperature = _temperature(logits, labels)
        if not len(labels):
            result[name] = None
            continue
        right = {"accuracy": (logits.argmax(dim=1) == labels).numpy()}
        if len(classes) > 5:
            right["top_5_accuracy"] = (logits.topk(5).indices == labels[:, None]).any(dim=1).numpy()
        rows = read_rows(data, description, name).iloc[labeled_rows(split.labels)]
        groups = rows["group"].to_numpy(dtype=np.str_) if "group" in rows else None
        balanced = balanced_accuracies(labels.numpy(), groups, accuracy=right["accuracy"])
        of_parents = by_parent(rows, (logits.double() / temperature).softmax(dim=1).numpy(), labels.numpy())
        metrics = classification_metrics(logits, labels, classes)
        metrics["calibrated_error"] = calibration_error(logits, labels, temperature)
        result[name] = metrics | by_group(groups, **right) | balanced | of_parents
        budget = drawn.get("budget", str(drawn["label_count"]))
        correct = Correct.of({(budget, draw): right["accuracy"]}, groups)  # of the split last judged
    if draw == 0:
        module.network.temperature = temperature
        save_network(folder / _MODEL, module.network, classes)
    write_correct(folder / f"draw{draw}.correct.npz", correct)
    write_json(folder / f"draw{draw}.json", result)  # last, as the draw is then done


def _temperature(logits: Tensor, labels: Tensor) -> float:
    """Return what logits are to be divided by, fitted on those of the hold-out, or 1 where that is impossible."""
    if not len(labels):
        log.info("temperature 1: the hold-out has no labels, so the probabilities are not calibrated")
        return 1.0
    if (temperature := fitted_temperature(logits, labels)) is None:
        log.info(
            "temperature 1: that of least loss on the %d labels of the hold-out lies beyond %g to %g, so the "
            "probabilities are not calibrated",
            *(len(labels), LEAST, LARGEST),
        )
        return 1.0
    log.info("temperature %.4g, fitted on the %d labels of the hold-out", temperature, len(labels))
    return temperature


def _write(
    settings: FinetunedSettings,
    classes: list[str],
    draws: list[dict[str, Any]],
    folder: Path,
    published: Path,
    facts: dict[str, Any],
) -> None:
    """Write the draws' results, of which `folder` holds the classifier and the histories."""
    shutil.copyfile(folder / _MODEL, published / _MODEL)
    tables = [read_table(folder / f"draw{draw}.history.csv") for draw in range(settings.draws)]
    write_table(published / "history.csv", [row for table in tables for row in table])
    (published / _CURVES).mkdir()
    for draw in range(settings.draws):
        publish(_logged(folder, draw), published / _CURVES / f"draw{draw}")
    correct = [read_correct(folder / f"draw{draw}.correct.npz") for draw in range(settings.draws)]
    right = {key: mask for of_draw in correct for key, mask in of_draw.right.items()}
    write_correct(published / "correct.npz", Correct(right, correct[0].groups))
    metrics = {
        "labels": settings.model_dump()["labels"],
        "label_count": draws[0]["label_count"],
        "init": settings.init,
        "freeze": settings.freeze,
        "classes": classes,
        "draws": draws,
        **facts,
    }
    write_json(published / "metrics.json", metrics)
