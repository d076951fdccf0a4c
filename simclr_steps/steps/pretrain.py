"""Train an encoder with SimCLR on all images of the train split, with a label or without."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch

from simclr_steps.data.first_labels import FirstLabels, first_labels
from simclr_steps.data.packed import read_images, read_packed
from simclr_steps.data.requirements import require_batch
from simclr_steps.data.splits import Rows, drawn_while_training, labeled_rows
from simclr_steps.durations import per_second
from simclr_steps.files import CHECKSUMS, checksums, write_json, write_table
from simclr_steps.machine.compilation import compiles
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.machine.options import NORMAL_SAVING, Devices, Hardware, Saving
from simclr_steps.machine.processes import leads
from simclr_steps.machine.provenance import Record
from simclr_steps.machine.replaced import Own, check_not_read, check_replaceable
from simclr_steps.methods.augmenter import tell_left_out
from simclr_steps.methods.candidate_files import write_candidates
from simclr_steps.methods.candidates import NAMES, Candidates
from simclr_steps.methods.ends import OPTIMIZER, read_end, write_optimizer
from simclr_steps.methods.first_weights import first_weights, start_from
from simclr_steps.methods.fitting import fitted_to
from simclr_steps.methods.monitors import MONITORS, HoldOutMonitor
from simclr_steps.methods.simclr import SimCLR
from simclr_steps.methods.verdict import CollapseWarning, verdict
from simclr_steps.networks.architecture import resolve
from simclr_steps.networks.encoders import Encoder
from simclr_steps.networks.from_scratch import draw_brought_weights
from simclr_steps.networks.user_code import augmentation_code, own_function
from simclr_steps.settings.pretrain import FittedPretrain, PretrainSettings
from simclr_steps.training.compiled import Compiled
from simclr_steps.training.history import History
from simclr_steps.training.loading import Images
from simclr_steps.training.loggers import OF_TENSORBOARD, Loggers, publish
from simclr_steps.training.published import kept, place_folder
from simclr_steps.training.resuming import fit, resumable
from simclr_steps.training.sync_batch_norm import batch_norms
from simclr_steps.training.trainer import build_trainer
from simclr_steps.training.work_folder import work_folder

_OWN = Own(  # of `out`
    (
        *(f"{name}.ckpt" for name in NAMES),
        *(OPTIMIZER, "checkpoints.csv", "history.csv", "run.json", CHECKSUMS),
        *(f"tensorboard/{name}" for name in OF_TENSORBOARD),
    ),
    step="pretrain",
    record="run.json",
)


def pretrain(
    settings: PretrainSettings,
    *,
    data: Path,
    labels: Path | None = None,
    seed: int,
    out: Path,
    work: Path,
    weights: Path | None = None,
    weights_sha256: str | None = None,
    parent: Path | None = None,
    logger: str | None = None,
    hardware: Hardware,
    saving: Saving = NORMAL_SAVING,
) -> None:
    """Train an encoder and write its candidates.

    Writes into `out`: best_loss.ckpt, best_knn.ckpt and best_rankme.ckpt (from the epochs with the lowest loss, the
    highest kNN accuracy and the highest effective rank on the hold-out, if they are measured), epoch<N>.ckpt at each
    quarter of the training, initial.ckpt from before the first step where the encoder starts from given weights or
    from another pretraining's end, last.ckpt, optimizer.safetensors (with last.ckpt, all that another pretraining
    needs to continue this one), checkpoints.csv, history.csv, tensorboard/, run.json and the checksums.json of all of
    these. While it trains, rows of the hold-out are judged that are drawn by the seed; `hold_out_loss` in run.json is
    the last encoder's loss on all of it, and `verdict` says, as the log does, if training collapsed, did not learn or
    made given weights worse. Labels serve the kNN accuracy and that draw, and never training: they are those in the
    folder `labels` (None: `data`) when it begins, which `labels_hash` tells. Never reads the test split.

    `weights` is what download_weights wrote, for `init: published`, and `weights_sha256` what the user's file must have
    that `init` names. `parent` is the folder of the pretraining that `settings.parent` describes, on the same images
    from the same seed: the training goes on from its end. `logger` is `module:function`, which makes a logger of
    Lightning that gets each epoch's row, too; it is called with `name`, that of `out`, and `version`, which stays the
    same when the training resumes. It changes no result.
    """
    check_not_read(out, parent)
    if leads():  # while another node waits, it may put an earlier result back
        check_replaceable(out, _OWN)
    packed = read_packed(data)
    fitted = fitted_to(packed.images["train"], settings)
    require_batch(packed.images["train"], data.name, fitted.global_batch_size)
    own_code = augmentation_code(settings.augmentation)
    make_logger = own_function(logger, "--logger") if logger else None
    record = Record("pretrain", settings, packed.pixel_hash, seed, own_code)
    images, hold_out = (Images([read_images(data, split)]) for split in ("train", "validation"))
    devices = hardware.claim()
    _check_processes(fitted, devices.processes)
    end = read_end(parent, settings, packed.image_format, packed.pixel_hash, seed)
    first = None if end else first_weights(settings, weights, weights_sha256)
    origin = first.origin if first else None
    architecture = end.encoder.architecture if end else resolve(settings, packed.image_format, origin)
    log.info("%s, %d images", architecture, len(images))
    _tell_chosen(settings, fitted, len(images), is_given_weights=first is not None)
    tell_left_out(settings.augmentation, packed.image_format.channels, is_color=packed.image_format.is_color)
    if not devices.gpus and architecture.is_slow_on_cpu:
        log.info("without a GPU, `stem: imagenet` would be about ten times as fast for images of this size")

    code = record.code_hash, architecture.own_code_hash, own_code
    made_of = (settings.model_dump(mode="json"), seed, *code, packed.pixel_hash, origin and origin.sha256)
    ends = end.checksums if end else []
    with work_folder(work, *made_of, *ends, place=partial(place_folder, out=out, own=_OWN)) as folder:
        torch.manual_seed(seed)
        known = first_labels(folder, labels or data, packed.pixel_hash)
        rows = drawn_while_training(known.validation, len(images) - len(images) % fitted.global_batch_size, seed)
        monitor = HoldOutMonitor(images, known.train, hold_out, known.validation, rows, seed)
        encoder = end.encoder if end else Encoder(architecture)
        if first:
            start_from(encoder, first.path)
        elif not end:
            draw_brought_weights(encoder.backbone, architecture)
        state = end.optimizer if end else None
        module = SimCLR(fitted, encoder, images, hold_out, monitor, seed=seed, workers=devices.workers, state=state)
        history = History(module, from_start=True)
        candidates = Candidates(history, module.encoder, fitted.epochs, from_start=bool(first or end))
        collapse = CollapseWarning(history, fitted, min(encoder.feature_size, len(rows)))
        told = {"seed": seed, **fitted.model_dump(mode="json")}
        own_logger = make_logger and partial(make_logger, name=str(out), version=folder.name)
        loggers = Loggers(history, folder, told, own_logger)
        trainer = build_trainer(
            devices,
            precision=settings.precision,
            epochs=fitted.epochs,
            callbacks=[
                *_compiled(fitted, module, devices),
                *resumable(folder / "training.ckpt", saving, seed, history, collapse, candidates, loggers),
            ],
        )
        at_once = settings.micro_batch_size or settings.views * fitted.global_batch_size // trainer.world_size
        advice = f"set micro_batch_size below {at_once}, the number of views that pass through the network at once"
        fit(trainer, module, folder / "training.ckpt", if_memory_is_full=advice)
        if trainer.is_global_zero:
            with kept(folder) as published:
                facts = _judged(fitted, module, history, known, rows, devices.device)
                _write_end(published, module.encoder, trainer.optimizers[0])
                publish(folder, published / "tensorboard")
                _write(published, module.encoder, candidates, history, record, facts)
    last = history.rows[-1]
    log.info("done: loss %.4f, %s images/s, written to %s", last["loss"], per_second(last["images_per_second"]), out)


def _check_processes(settings: FittedPretrain, processes: int) -> None:
    batch = settings.global_batch_size
    if batch % processes:
        raise UserError(
            f"global_batch_size {batch} cannot be divided evenly among {processes} processes: make it a multiple"
        )


def _tell_chosen(settings: PretrainSettings, fitted: FittedPretrain, images: int, *, is_given_weights: bool) -> None:
    """Log what `auto` stands for."""
    if chosen := [key for key in ("epochs", "global_batch_size") if getattr(settings, key) == "auto"]:
        shown = ", ".join(f"{key} {getattr(fitted, key)}" for key in chosen)
        log.info("fitted to them: %s; updates per epoch: %d", shown, images // fitted.global_batch_size)
    if is_given_weights and settings.asked_stem != settings.stem:
        log.info("stem: auto is torchvision's own here, for which given weights are made")


def _compiled(settings: FittedPretrain, module: SimCLR, devices: Devices) -> list[L.Callback]:
    """Return the callback that compiles the training, if it is to be compiled."""
    steps, processes = settings.epochs * module.steps_per_epoch, devices.processes
    obstacle = None
    views = settings.views * settings.global_batch_size // processes
    if processes > 1 and batch_norms(module.encoder):
        obstacle = f"it cannot compile batch norm over {processes} processes: train in a single process"
    elif settings.micro_batch_size and views % math.ceil(views / settings.micro_batch_size):
        size = settings.micro_batch_size
        obstacle = f"it needs equal micro-batches: set micro_batch_size to a divisor of {views} instead of {size}"
    wanted = compiles(devices.compile, gpu=devices.gpus > 0, steps=steps, obstacle=obstacle)
    return [Compiled(module, insist=devices.compile == "always")] if wanted else []


def _judged(
    settings: FittedPretrain, module: SimCLR, history: History, known: FirstLabels, rows: Rows, device: torch.device
) -> dict[str, Any]:
    """Return what run.json says of a training at its end: the loss on all of the hold-out, and the verdict."""
    loss = module.hold_out_loss(device)
    judged = {"images": len(rows), "labeled": len(labeled_rows(known.validation[rows]))}
    found = verdict(settings, history.rows, features=module.encoder.feature_size, **judged)
    if found:
        log.warning("warning: %s", found)
    numbers = settings.model_dump(include={"epochs", "global_batch_size"})
    return {"verdict": found, "hold_out_loss": loss, "labels_hash": known.content_hash, "fitted": numbers}


def _write_end(folder: Path, encoder: Encoder, optimizer: torch.optim.Optimizer) -> None:
    """Write what `continue` needs beside last.ckpt."""
    write_optimizer(folder / OPTIMIZER, encoder, optimizer)
    size = (folder / OPTIMIZER).stat().st_size / 1e6
    log.info("kept for `continue`: the optimizer's state, %s, %.1f MB", OPTIMIZER, size)


def _write(
    folder: Path,
    encoder: Encoder,
    candidates: Candidates,
    history: History,
    record: Record,
    facts: dict[str, Any],
) -> None:
    """Write all that pretraining made."""
    architecture = encoder.architecture
    files = candidates.with_last()
    write_candidates(folder, files, architecture)
    columns = ("epoch", "step", "validate_loss", *MONITORS)
    of_epoch = {row["epoch"]: row for row in history.rows}
    rows = {f"{name}.ckpt": of_epoch[candidate.epoch] for name, candidate in files.items()}
    write_table(
        folder / "checkpoints.csv",
        [{"file": name, **{column: row[column] for column in columns}} for name, row in rows.items()],
    )
    write_table(folder / "history.csv", history.rows)
    write_json(folder / "run.json", {**record.finish(), "architecture": architecture.model_dump(mode="json"), **facts})
    write_json(folder / CHECKSUMS, checksums(folder))
