from functools import cache

from snakemake.utils import update_config

from simclr_steps.data.asked_columns import require_table
from simclr_steps.machine.container import check_data, check_gpu, check_image
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.gpus import machine_shows_gpu
from simclr_steps.networks.user_code import augmentation_code, own_code
from simclr_steps.settings.config import read_config
from simclr_steps.settings.judged import instead_of_test
from simclr_steps.settings.own_files import check_own_files
from simclr_steps.settings.plan import plan
from simclr_steps.settings.prediction import mistakes_name, predictions_name
from simclr_steps.settings.reading import typed


def read_plan():
    """Return what the config asks for; UserError where it, or a file that it names, is wrong."""
    update_config(config, typed(OVERRIDES))
    if not config:
        raise UserError("no config found: create config/config.yaml, or pass a file with --configfile")
    asked = plan(read_config(config))
    check_own_files(asked, undeclared)
    for name in asked.datasets:
        require_table(asked.config.metadata, name, asked.config.datasets[name])
    finetunes = {name for run in asked.runs for name in run.finetunes}
    for block in (*map(asked.config.finetunes.get, finetunes), asked.config.evaluation):
        augmentation_code(block.augmentation)
    for pretrain in asked.pretrains.values():
        code_of_pretrain(pretrain)
    return asked


def code_of_pretrain(block):
    """Return the hashes of the user's own code that a pretraining runs."""
    return [*own_code(block.encoder), *augmentation_code(block.augmentation)]


def check_gpu_limit():
    """Raise UserError where a job asks for more GPUs than all jobs may use, as it would get those and no more."""
    for name, asked in GPUS_ASKED.items():
        if GPU_LIMIT is not None and (asked or 0) > GPU_LIMIT:
            raise UserError(
                f"{name} asks for {asked} GPUs, but jobs may use {GPU_LIMIT}: add --resources gpu={asked}, or raise "
                "gpu in the profile's resources"
            )


GPUS = int(machine_shows_gpu())
# Without a GPU, two trainings of one thread each beat one of two threads, so the short ones run side by side.
THREADS = 4 if GPUS else 1

with one_sentence("config error"):
    PLAN = read_plan()
    CONFIG = PLAN.config
    if IN_CONTAINER:
        check_image(CONFIG.container)
        check_data(PLAN.own_files, APPTAINER_ARGUMENTS)
with one_sentence("error"):
    if IS_MAIN_PROCESS:
        check_gpu_limit()
    if IN_CONTAINER and (GPUS or any(asked != 0 for asked in GPUS_ASKED.values())):
        check_gpu(APPTAINER_ARGUMENTS)


def predictions_of(folder):
    """Return what a fine-tuning predicts of each split that it is asked to."""
    return [f"results/{folder}/{predictions_name(split)}.parquet" for split in PREDICTED[folder]]


def tabulated_of(run):
    """Return the tables beside a run's features."""
    splits = instead_of_test(CONFIG.prediction.splits, run.judged_by)
    return [f"results/{run.folder}/features/{split}/rows.parquet" for split in splits]


RUN_IN = {run.folder: run for run in PLAN.runs}
RUNS = [f"results/{folder}" for folder in RUN_IN]
CLASSIFIERS = [f"results/{classifier}" for classifier in PLAN.classifiers]
SUMMARY = PLAN.summary
PREDICTED = PLAN.predicted
PREDICTIONS = [file for folder in PREDICTED for file in predictions_of(folder)]
TABULATED = [file for run in PLAN.runs for file in tabulated_of(run)]
OF_RUN = "{dataset}/{pretrain}/seed{seed}"  # where a run's results are, below those of all
# Every job asks what all jobs on its data set are told alike.
compared_of, umap_of, explore_of = cache(PLAN.compared), cache(PLAN.umap), cache(PLAN.explore)
COMPARED = [f"results/{dataset}/compare/{name}" for dataset in PLAN.datasets for name in compared_of(dataset)]


wildcard_constraints:
    dataset="[^/]+",
    pretrain="[^/]+",
    seed=r"\d+",
    finetune="[^/]+",
    start=r"[^/]+/seed\d+|compare/(random|published)-[^/]+-seed\d+",
    compared="[^/]+",
    split="train|validation|test",
