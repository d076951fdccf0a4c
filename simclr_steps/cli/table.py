"""Each step's command: what it does, and the options that give its function's arguments."""

from __future__ import annotations

from simclr_steps.cli.encoder_table import OF_ENCODERS
from simclr_steps.cli.options import (
    ANY_SPLIT,
    COMPILATION,
    CONFIG,
    DATA,
    ENCODER,
    FEATURES,
    GPUS,
    JUDGED_BY,
    LOGGER,
    NODES,
    ORIGINALS,
    PACKERS,
    PROCESSES,
    READERS,
    SAVING,
    SEED,
    SHOWN_FEATURES,
    SPLIT,
    STARTS,
    WEIGHTS,
    WEIGHTS_SHA256,
    WORK,
    Step,
    out,
    out_file,
    path,
    settings,
)
from simclr_steps.cli.workflow_table import OF_WORKFLOW
from simclr_steps.settings.compared import ComparedSettings
from simclr_steps.settings.datasets import Dataset
from simclr_steps.settings.demands import Demands
from simclr_steps.settings.evaluation import EvaluationSettings
from simclr_steps.settings.explore import ExploreOfDataset
from simclr_steps.settings.finetuned import FinetunedSettings
from simclr_steps.settings.galleries import GallerySettings
from simclr_steps.settings.metadata import MetadataSettings
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.settings.runs import SummarySettings
from simclr_steps.settings.selection import SelectionSettings
from simclr_steps.settings.umap import UmapOfDataset
from simclr_steps.settings.weights import PublishedWeights

_TABLE = (
    Step(
        "download",
        "fetch and verify the original files of a data set",
        (
            settings(Dataset, "a block under datasets", to="dataset"),
            path("folder", "folder for downloaded files"),
            out_file("JSON file to write the list of verified originals to"),
        ),
    ),
    Step(
        "prepare",
        "split a data set and pack its images into arrays",
        (
            settings(Dataset, "a block under datasets", to="dataset"),
            ORIGINALS,
            out("folder to write the packed arrays and images.json to"),
            PACKERS,
        ),
    ),
    Step(
        "label",
        "write down the labels of packed images, and what else is known of them",
        (
            settings(Dataset, "a block under datasets", to="dataset"),
            path("data", "folder of packed arrays written by prepare"),
            ORIGINALS,
            out("folder to write labels, rows, table.csv and dataset.json to, as a rule that of the packed arrays"),
        ),
    ),
    Step(
        "download_weights",
        "fetch and verify the published weights that an encoder starts from",
        (
            settings(PublishedWeights, "what to fetch, {encoder, path, mirrors, sha256}", to="weights"),
            path("folder", "folder for the downloaded file"),
            out_file("JSON file to write the file's path, source, SHA-256 and license to"),
        ),
    ),
    Step(
        "check",
        "check that a data set meets the requirements of experiments; writes nothing",
        (
            settings(
                Demands,
                "the requirements, {pretrains, criterion, finetunes, drawn, judged_by, explored, supervised, display}",
                to="demands",
            ),
            DATA,
        ),
    ),
    Step(
        "pretrain",
        "train an encoder with SimCLR, never reading the test split",
        (
            settings(PretrainSettings, "a block under pretrains"),
            DATA,
            path("labels", "folder written by label, if not that of the packed arrays", required=False),
            SEED,
            out("folder to write checkpoints, the optimizer's state, checkpoints.csv, history.csv and run.json to"),
            WORK,
            *STARTS,
            LOGGER,
            GPUS,
            PROCESSES,
            READERS,
            NODES,
            COMPILATION,
            *SAVING,
        ),
    ),
    Step(
        "select",
        "select a checkpoint and write its encoder",
        (
            settings(SelectionSettings, "the selection block"),
            path("candidates", "folder written by pretrain"),
            DATA,
            out("folder to write encoder.safetensors and selection.json to"),
            GPUS,
        ),
    ),
    Step(
        "compare",
        "evaluate what an encoder must beat: raw pixels, random or given weights, or an encoder off the shelf",
        (
            settings(
                ComparedSettings,
                "the evaluation block and network: null, {encoder, seed}, {encoder, init} or {weights}",
            ),
            DATA,
            WEIGHTS,
            WEIGHTS_SHA256,
            JUDGED_BY,
            out("folder to write knn.json and linear.json to"),
            GPUS,
        ),
    ),
    Step(
        "evaluate",
        "evaluate frozen features with kNN and linear probes",
        (
            settings(EvaluationSettings, "the evaluation block"),
            ENCODER,
            DATA,
            SEED,
            JUDGED_BY,
            out("folder to write knn.json and linear.json to"),
            GPUS,
        ),
    ),
    Step(
        "metadata",
        "measure whether features tell columns of the data set's table, such as the plate",
        (
            settings(MetadataSettings, "{columns: [NAME, …]}"),
            path("features", "folder with the folders of all splits that gather wrote"),
            DATA,
            JUDGED_BY,
            out_file("JSON file to write"),
        ),
    ),
    Step(
        "finetune",
        "train a classifier on a fraction of the labels",
        (
            settings(FinetunedSettings, "a block under finetunes and, unless pretrained, network: {encoder}"),
            DATA,
            path("encoder", "encoder.safetensors written by select, for init: pretrained", required=False),
            WEIGHTS,
            SEED,
            JUDGED_BY,
            out("folder to write model.safetensors, metrics.json, history.csv, correct.npz and tensorboard/ to"),
            WORK,
            GPUS,
            *SAVING,
        ),
    ),
    Step(
        "predict",
        "compute features and predictions, one part for each process",
        (
            path("model", "encoder.safetensors or model.safetensors"),
            DATA,
            SPLIT,
            out("folder to write one part per process to"),
            GPUS,
            PROCESSES,
            READERS,
        ),
    ),
    Step(
        "gather",
        "merge the parts of a prediction, each row exactly once",
        (
            path("parts", "folder written by predict"),
            DATA,
            ANY_SPLIT,
            path(
                "features",
                "folder with the features of train and of the split, for mistakes' neighbors",
                required=False,
            ),
            out("folder to write features, or a classifier's predictions, to"),
        ),
        side_by_side=("parts", "split"),
    ),
    Step(
        "tabulate",
        "write the table of rows, with their labels, beside gathered features",
        (
            FEATURES,
            DATA,
            ANY_SPLIT,
            out("folder to write rows.parquet to, that of the features; for unlabeled, one for its features, too"),
        ),
    ),
    Step(
        "umap",
        "plot gathered features in two dimensions with UMAP",
        (
            settings(UmapOfDataset, "the umap block, and display from a block under datasets"),
            SHOWN_FEATURES,
            DATA,
            out("folder to write the plots, map.html, points.parquet, coordinates and quality.json to"),
        ),
    ),
    Step(
        "explore",
        "find near-duplicates, outliers, clusters, what to label next and labels that look wrong, by gathered features",
        (
            settings(ExploreOfDataset, "the explore block, and display from a block under datasets"),
            path("features", "folder with the folders of splits that gather wrote"),
            DATA,
            SEED,
            out("folder to write the tables, explore.json and explore.html to"),
        ),
    ),
    Step(
        "galleries",
        "show augmented views of images, and their nearest neighbors",
        (
            settings(
                GallerySettings,
                "augmentation and view_size from a block under pretrains, and display from one under datasets",
            ),
            SHOWN_FEATURES,
            DATA,
            SEED,
            out("folder to write the galleries to"),
        ),
    ),
    Step(
        "summarize",
        "collect the results of all runs in one table, plots and a page",
        (
            settings(SummarySettings, "the runs, {runs: [{dataset, pretrain, seed, finetunes}]}"),
            path("results", "folder that contains the results of all runs"),
            path("resources", "folder that contains a folder of packed arrays for each data set, named after it"),
            path("benchmarks", "folder that contains Snakemake's benchmark files, for the costs", required=False),
            out("folder to write summary.csv, summary.html and the plots in summary/ to"),
            CONFIG,
        ),
    ),
    Step(
        "present",
        "show a run on a page of its own",
        (
            settings(SummarySettings, "the run, {runs: [{dataset, pretrain, seed, finetunes}]}"),
            path("results", "folder that contains the results of all runs"),
            path("resources", "folder that contains a folder of packed arrays for each data set, named after it"),
            path("benchmarks", "folder that contains Snakemake's benchmark files, for the costs", required=False),
            out("folder of the run's results, to write index.html and index.json to"),
        ),
    ),
)
STEPS = {step.name: step for step in (*_TABLE, *OF_ENCODERS, *OF_WORKFLOW)}
