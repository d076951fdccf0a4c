"""The command line: each step with its files and options. Torch is loaded by the step that runs, not by --help."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simclr_steps.machine.compilation import COMPILE
from simclr_steps.machine.options import Hardware, Saving
from simclr_steps.settings.base import SPLITS
from simclr_steps.settings.datasets import Dataset
from simclr_steps.settings.evaluation import EvaluationSettings
from simclr_steps.settings.finetune import FinetuneSettings
from simclr_steps.settings.galleries import GallerySettings
from simclr_steps.settings.plan import Demands, SummarySettings
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.settings.reading import read_settings
from simclr_steps.settings.selection import SelectionSettings
from simclr_steps.settings.umap import UmapSettings

Arguments = argparse.Namespace
Parser = argparse.ArgumentParser

WATCH = "Show the steps that are running and log next to the results: since when, and how far they are."


def parser() -> Parser:
    """Return the parser of `python -m simclr_steps`; what it parses holds `step` and the function `run`."""
    top = Parser(
        prog="python -m simclr_steps",
        description="The steps of simclr-workflow. Each reads and writes files; see STEP --help for which.",
    )
    steps = top.add_subparsers(dest="step", metavar="STEP", required=True)
    for name, (text, add_options, run) in STEPS.items():
        command = steps.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        add_options(command)
        command.add_argument("--log", type=Path, metavar="FILE", help="also write the step's output to this file")
        command.set_defaults(run=run)
    _add_watch(steps.add_parser("watch", help="show the running steps", description=WATCH))
    return top


def _add_settings(command: Parser, block: str) -> None:
    command.add_argument(
        "--settings", required=True, metavar="JSON|FILE", help=f"{block}: inline JSON, or a YAML or JSON file"
    )


def _add_path(command: Parser, name: str, text: str, *, required: bool = True) -> None:
    command.add_argument(f"--{name}", type=Path, required=required, metavar="PATH", help=text)


def _add_data(command: Parser) -> None:
    _add_path(command, "data", "folder of packed arrays written by prepare")


def _add_split(command: Parser) -> None:
    command.add_argument("--split", required=True, choices=SPLITS, help="split of the data")


def _add_seed(command: Parser) -> None:
    command.add_argument("--seed", type=_whole, required=True, help="the run's seed")


def _add_hardware(command: Parser, *, parallel: bool = False) -> None:
    command.add_argument("--gpus", type=_whole, help="number of GPUs to use (default: one, if available)")
    if parallel:
        command.add_argument(
            "--processes", type=_positive, default=1, help="number of processes if no GPU is used (default: 1)"
        )
        command.add_argument(
            "--workers",
            type=_whole,
            help="processes that read images ahead (default: 4 if the GPU cannot hold all images, otherwise 0)",
        )


def _add_saving(command: Parser) -> None:
    command.add_argument(
        "--save-minutes",
        type=_not_negative,
        default=1.0,
        metavar="MINUTES",
        help="save the training every MINUTES minutes (default: 1)",
    )
    command.add_argument("--save-epochs", type=_positive, metavar="EPOCHS", help="also save it every EPOCHS epochs")
    command.add_argument(
        "--time-budget",
        type=_not_negative,
        metavar="MINUTES",
        help="save and exit with status 75 before this time is up, so that a scheduler can restart the training",
    )


def _not_negative(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError("must not be negative")
    return number


def _whole(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return number


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _hardware(arguments: Arguments) -> Hardware:
    others = {
        name: getattr(arguments, name) for name in ("processes", "nodes", "workers", "compile") if name in arguments
    }
    return Hardware(gpus=arguments.gpus, **others)


def _saving(arguments: Arguments) -> Saving:
    leave_by = None
    if arguments.time_budget is not None:
        seconds = 60 * arguments.time_budget
        around = min(60.0, seconds / 10)  # what the job needs before this program starts and after it ends
        leave_by = time.monotonic() + seconds - around
    return Saving(arguments.save_minutes, arguments.save_epochs, leave_by)


def _read(arguments: Arguments, kind: Any) -> Any:
    return read_settings(kind, arguments.settings, f"{arguments.step} settings")


def _download_options(command: Parser) -> None:
    _add_settings(command, "a block of datasets")
    _add_path(command, "folder", "folder for downloaded files")
    _add_path(command, "out", "JSON file to write the list of verified originals to")


def _download(arguments: Arguments) -> None:
    block = _read(arguments, Dataset)
    from simclr_steps.steps.download import download

    download(block, folder=arguments.folder, out=arguments.out)


def _prepare_options(command: Parser) -> None:
    _add_settings(command, "a block of datasets")
    _add_path(
        command, "originals", "file written by download; not needed for the sources folder and arrays", required=False
    )
    _add_path(command, "out", "folder to write the packed arrays and dataset.json to")
    command.add_argument("--workers", type=_positive, default=1, help="processes that decode images (default: 1)")


def _prepare(arguments: Arguments) -> None:
    block = _read(arguments, Dataset)
    from simclr_steps.steps.prepare import prepare

    prepare(block, originals=arguments.originals, out=arguments.out, workers=arguments.workers)


def _check_options(command: Parser) -> None:
    _add_settings(command, "the requirements, {batch_sizes, criterion, finetunes, drawn, supervised}")
    _add_data(command)


def _check(arguments: Arguments) -> None:
    demands = _read(arguments, Demands)
    from simclr_steps.steps.check import check

    check(demands, data=arguments.data)


def _pretrain_options(command: Parser) -> None:
    _add_settings(command, "a block of pretrains")
    _add_data(command)
    _add_seed(command)
    _add_path(command, "out", "folder to write checkpoints, checkpoints.csv, history.csv and run.json to")
    _add_path(command, "work", "folder for what an interrupted training needs to resume")
    _add_hardware(command, parallel=True)
    command.add_argument(
        "--nodes",
        type=_positive,
        default=1,
        help="machines that share the GPUs or processes; start this command on each, as srun does (default: 1)",
    )
    command.add_argument(
        "--compile",
        choices=COMPILE,
        default="auto",
        help="compile the training; auto compiles on a GPU if there are at least 25,000 steps, unless that fails",
    )
    _add_saving(command)


def _pretrain(arguments: Arguments) -> None:
    block, saving = _read(arguments, PretrainSettings), _saving(arguments)
    from simclr_steps.steps.pretrain import pretrain

    pretrain(
        block,
        data=arguments.data,
        seed=arguments.seed,
        out=arguments.out,
        work=arguments.work,
        hardware=_hardware(arguments),
        saving=saving,
    )


def _select_options(command: Parser) -> None:
    _add_settings(command, "the block selection")
    _add_path(command, "candidates", "folder written by pretrain")
    _add_data(command)
    _add_path(command, "out", "folder to write encoder.safetensors and selection.json to")
    _add_hardware(command)


def _select(arguments: Arguments) -> None:
    block = _read(arguments, SelectionSettings)
    from simclr_steps.steps.select import select

    select(
        block,
        candidates=arguments.candidates,
        data=arguments.data,
        out=arguments.out,
        hardware=_hardware(arguments),
    )


def _evaluate_options(command: Parser) -> None:
    _add_settings(command, "the block evaluation")
    _add_path(command, "encoder", "encoder.safetensors written by select")
    _add_data(command)
    _add_seed(command)
    _add_path(command, "out", "folder to write knn.json and linear.json to")
    _add_hardware(command)


def _evaluate(arguments: Arguments) -> None:
    block = _read(arguments, EvaluationSettings)
    from simclr_steps.steps.evaluate import evaluate

    evaluate(
        block,
        encoder=arguments.encoder,
        data=arguments.data,
        seed=arguments.seed,
        out=arguments.out,
        hardware=_hardware(arguments),
    )


def _finetune_options(command: Parser) -> None:
    _add_settings(command, "a block of finetunes")
    _add_path(command, "encoder", "encoder.safetensors written by select")
    _add_data(command)
    _add_seed(command)
    _add_path(command, "out", "folder to write model.safetensors, metrics.json and history.csv to")
    _add_path(command, "work", "folder for what an interrupted training needs to resume")
    _add_hardware(command)
    _add_saving(command)


def _finetune(arguments: Arguments) -> None:
    block, saving = _read(arguments, FinetuneSettings), _saving(arguments)
    from simclr_steps.steps.finetune import finetune

    finetune(
        block,
        encoder=arguments.encoder,
        data=arguments.data,
        seed=arguments.seed,
        out=arguments.out,
        work=arguments.work,
        hardware=_hardware(arguments),
        saving=saving,
    )


def _predict_options(command: Parser) -> None:
    _add_path(command, "model", "encoder.safetensors or model.safetensors")
    _add_data(command)
    _add_split(command)
    _add_path(command, "out", "folder to write one part per process to")
    _add_hardware(command, parallel=True)


def _predict(arguments: Arguments) -> None:
    from simclr_steps.steps.predict import predict

    predict(
        arguments.model,
        data=arguments.data,
        split=arguments.split,
        out=arguments.out,
        hardware=_hardware(arguments),
    )


def _gather_options(command: Parser) -> None:
    _add_path(command, "parts", "folder written by predict")
    _add_data(command)
    _add_split(command)
    _add_path(command, "out", "folder to write features and rows.parquet, or predictions.parquet, to")


def _gather(arguments: Arguments) -> None:
    from simclr_steps.steps.gather import gather

    gather(arguments.parts, data=arguments.data, split=arguments.split, out=arguments.out)


def _umap_options(command: Parser) -> None:
    _add_settings(command, "the block umap")
    _add_path(command, "features", "folder written by gather for an encoder")
    _add_data(command)
    _add_path(command, "out", "folder to write the plots, coordinates and quality.json to")


def _umap(arguments: Arguments) -> None:
    block = _read(arguments, UmapSettings)
    from simclr_steps.steps.umap import umap

    umap(
        block,
        features=arguments.features,
        data=arguments.data,
        out=arguments.out,
    )


def _galleries_options(command: Parser) -> None:
    _add_settings(command, "augmentation and view_size from a block of pretrains")
    _add_path(command, "features", "folder written by gather for an encoder")
    _add_data(command)
    _add_seed(command)
    _add_path(command, "out", "folder to write the galleries to")


def _galleries(arguments: Arguments) -> None:
    block = _read(arguments, GallerySettings)
    from simclr_steps.steps.galleries import galleries

    galleries(block, features=arguments.features, data=arguments.data, seed=arguments.seed, out=arguments.out)


def _summarize_options(command: Parser) -> None:
    _add_settings(command, "the runs, {runs: [{dataset, pretrain, seed, finetunes}]}")
    _add_path(command, "results", "folder that contains the results of all runs")
    _add_path(command, "resources", "folder that contains a folder of packed arrays for each data set, named after it")
    _add_path(command, "out", "folder to write summary.csv, summary.html and the plots in summary/ to")


def _summarize(arguments: Arguments) -> None:
    block = _read(arguments, SummarySettings)
    from simclr_steps.steps.summarize import summarize

    summarize(block, results=arguments.results, resources=arguments.resources, out=arguments.out)


def _embed_options(command: Parser) -> None:
    _add_path(command, "encoder", "encoder.safetensors, or a classifier's model.safetensors for its features")
    _add_path(command, "images", "folder of images, searched recursively, or a CSV file with a column path")
    _add_path(command, "out", "Parquet file to write, with one row per image: path, features")
    _add_hardware(command)
    command.add_argument("--workers", type=_positive, help="processes that decode images (default: one per core)")


def _embed(arguments: Arguments) -> None:
    from simclr_steps.steps.embed import embed

    embed(arguments.encoder, images=arguments.images, out=arguments.out, hardware=_hardware(arguments))


def _export_options(command: Parser) -> None:
    _add_path(command, "encoder", "encoder.safetensors, or a classifier's model.safetensors for its features")
    _add_path(command, "out", "ONNX file to write; it maps uint8 images, N × H × W × C, to float32 features, N × D")


def _export(arguments: Arguments) -> None:
    from simclr_steps.steps.export import export

    export(arguments.encoder, out=arguments.out)


def _add_watch(command: Parser) -> None:
    command.add_argument("results", type=Path, help="folder that contains the results of all runs")
    command.add_argument(
        "--once", action="store_true", help="print once and exit, as when the output is not a terminal"
    )
    command.set_defaults(run=_watch, log=None)


def _watch(arguments: Arguments) -> None:
    from simclr_steps.machine.watch import watch

    watch(arguments.results, once=arguments.once)


STEPS: dict[str, tuple[str, Callable[[Parser], None], Callable[[Arguments], None]]] = {
    "download": ("fetch and verify the original files of a data set", _download_options, _download),
    "prepare": ("pack a data set's images into arrays and split it", _prepare_options, _prepare),
    "check": ("check that a data set meets the requirements of experiments; writes nothing", _check_options, _check),
    "pretrain": ("train an encoder with SimCLR, never reading the test split", _pretrain_options, _pretrain),
    "select": ("select a checkpoint and write its encoder", _select_options, _select),
    "evaluate": ("evaluate frozen features with kNN and linear probes", _evaluate_options, _evaluate),
    "finetune": ("train a classifier on a fraction of the labels", _finetune_options, _finetune),
    "predict": ("compute features and predictions, one part for each process", _predict_options, _predict),
    "gather": ("merge the parts of a prediction, each row exactly once", _gather_options, _gather),
    "umap": ("draw gathered features in the plane", _umap_options, _umap),
    "galleries": ("show augmented views of images, and their nearest neighbors", _galleries_options, _galleries),
    "summarize": ("collect the results of all runs in one table, plots and a page", _summarize_options, _summarize),
    "embed": ("compute features of image files without a data set", _embed_options, _embed),
    "export": ("write an encoder as ONNX, which runs without torch", _export_options, _export),
}
