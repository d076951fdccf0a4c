import gc
import os
import shlex
import sys
from functools import cache
from pathlib import Path

import yaml
from snakemake.utils import update_config


def copy_package():
    """Return the folder of Snakemake's copy of the steps: visible wherever a job runs, unchanged while all run.

    MANIFEST lists the files, since a git repository that a workflow is read from lists none.
    """
    manifest = Path(workflow.source_path("../../simclr_steps/MANIFEST")).read_text(encoding="utf-8")
    copies = {name: workflow.source_path(f"../../simclr_steps/{name}") for name in manifest.split()}
    return Path(copies["__main__.py"]).parent


PACKAGE = copy_package()
sys.path.insert(0, str(PACKAGE.parent))

from simclr_steps.data.image_files import fingerprint
from simclr_steps.files import canonical_json
from simclr_steps.machine.code_hash import code_hash
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.gpus import machine_shows_gpu
from simclr_steps.networks.user_code import is_own, own_code_hash
from simclr_steps.settings.plan import plan, read_config


def typed(value):
    """Return what was given to --config with its nested values read as YAML; Snakemake leaves them as text."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    try:
        return yaml.safe_load(value) if isinstance(value, str) else value
    except yaml.YAMLError as error:
        sys.exit(f"config error: --config: {value} is not valid YAML ({' '.join(str(error).split())}): quote or fix it")


def own_code(pretrain):
    """Return the hash of the user's module, where the encoder comes from one."""
    return [own_code_hash(pretrain.encoder)] if is_own(pretrain.encoder) else []


def read_plan():
    """Return the checked config and the runs that it asks for; a mistake stops Snakemake with one sentence."""
    if not workflow.modifier.skip_configfile:
        update_config(config, typed(dict(workflow.config_settings.config)))
    if not config:
        sys.exit("config error: there is no config: write config/config.yaml, or pass a file with --configfile")
    try:
        content = read_config(config)
        runs = plan(content)
        for pretrain in runs.pretrains.values():
            own_code(pretrain)
    except UserError as error:
        sys.exit(f"config error: {error}")
    for name in {run.dataset for run in runs.runs}:
        path = getattr(content.datasets[name], "path", None)
        if path is not None and not Path(path).exists():
            sys.exit(f"config error: datasets.{name}.path: {path} does not exist: fix the path")
    return content, runs


def check_gpus():
    """Stop Snakemake where a job asks for more GPUs than all jobs may use, as it would get those and no more."""
    if "gpu" not in workflow.global_resources:
        return
    limit = workflow.global_resources["gpu"].value
    for name, resources in workflow.resource_settings.overwrite_resources.items():
        asked = resources["gpu"].value if "gpu" in resources and not resources["gpu"].is_evaluable() else 0
        if asked > limit:
            sys.exit(
                f"error: {name} asks for {asked} GPUs, but jobs may use {limit}: add --resources gpu={asked}, or raise "
                "gpu in the profile's resources"
            )


if workflow.is_main_process:
    check_gpus()

CONFIG, PLAN = read_plan()

DATASETS = sorted({run.dataset for run in PLAN.runs})
RUNS = [f"results/{run.dataset}/{run.pretrain}/seed{run.seed}" for run in PLAN.runs]
CLASSIFIERS = [
    f"{folder}/finetune/{name}" for folder, run in zip(RUNS, PLAN.runs, strict=True) for name in run.finetunes
]


wildcard_constraints:
    dataset="[^/]+",
    pretrain="[^/]+",
    seed=r"\d+",
    finetune="[^/]+",
    split="train|validation|test|unlabeled",


@cache
def settings_json(*keys, without=()):
    """Return the canonical JSON of one block, such as ("pretrains", "simclr"), without some of its keys."""
    if keys[0] == "pretrains":
        block = PLAN.pretrains[keys[1]]
    else:
        block = getattr(CONFIG, keys[0])
        block = block[keys[1]] if len(keys) > 1 else block
    return canonical_json(block.model_dump(mode="json", exclude=set(without)))


def command(step):
    """Return a param that starts a step's command; as it is derived from the resources, it triggers no rerun."""
    path = shlex.quote(str(PACKAGE.parent))

    def start(wildcards, resources, threads):
        # srun, unlike other launchers, would give each node's process one core of those that the job has
        cores = f"SRUN_CPUS_PER_TASK={threads}"
        launcher = f"{cores} {resources.mpi} -n {resources.nodes} " if "mpi" in resources.keys() else ""
        return f"PYTHONSAFEPATH=1 PYTHONPATH={path} {launcher}{python()} -m simclr_steps {step}"

    return start


def time_budget(wildcards, resources):
    """Return the option by which a training leaves in time, where a scheduler ends it: not in a local job."""
    return f"--time-budget {resources.runtime}" if workflow.remote_exec else ""


def options(*names):
    """Return a param: options of the step that a profile may set as resources, which trigger no rerun."""

    def given(wildcards, resources):
        set_ones = [name for name in names if name in resources.keys()]
        return " ".join(f"--{name.replace('_', '-')} {getattr(resources, name)}" for name in set_ones)

    return given


def is_downloaded(dataset):
    return CONFIG.datasets[dataset].source in ("digits", "torchvision")


def originals(dataset):
    """Return what download wrote for prepare; the user's own files are known by their fingerprint instead."""
    return [f"resources/{dataset}/originals.json"] if is_downloaded(dataset) else []


@cache
def own_files(dataset):
    """Return the fingerprint of the user's own files, which is not the time of their folder."""
    return [] if is_downloaded(dataset) else [fingerprint(CONFIG.datasets[dataset])]


def what_is_downloaded(dataset):
    block = CONFIG.datasets[dataset]
    return canonical_json([block.source, getattr(block, "name", None)])


# A mirror or a local folder of the same verified originals changes no packed image.
def packed_settings(dataset):
    is_torchvision = CONFIG.datasets[dataset].source == "torchvision"
    return settings_json("datasets", dataset, without=("path", "mirrors") if is_torchvision else ())


@cache
def demands(dataset):
    """Return what the experiments ask of a data set."""
    runs = [run for run in PLAN.runs if run.dataset == dataset]
    blocks = {name: CONFIG.finetunes[name] for run in runs for name in run.finetunes}
    asked = {
        "batch_sizes": {run.pretrain: PLAN.pretrains[run.pretrain].global_batch_size for run in runs},
        "criterion": CONFIG.selection.criterion,
        "finetunes": {
            name: block.model_dump(mode="json", include={"labels", "keep"}) for name, block in blocks.items()
        },
        "drawn": CONFIG.umap.split,
        "supervised": CONFIG.umap.supervised,
    }
    return canonical_json(asked)


def check_of_data(wildcards, resources):
    """Return the command that sees, before a pretraining, that the data have what all that follows asks of them.

    It is part of the pretraining's rule, and derived: what a fine-tuning asks must rerun no pretraining.
    """
    path, settings = shlex.quote(str(PACKAGE.parent)), shlex.quote(demands(wildcards.dataset))
    return f"PYTHONSAFEPATH=1 PYTHONPATH={path} {python()} -m simclr_steps check --settings {settings}"


def arrays(*splits):
    """Return the packed data that a step reads: these splits and no other."""
    files = [f"{split}.{part}.npy" for split in splits for part in ("images", "labels")]
    return [f"resources/{{dataset}}/{file}" for file in ("dataset.json", *files)]


def split_drawn(*parts):
    """Return arrays of the split that UMAP and the neighbors' gallery show."""
    return [f"resources/{{dataset}}/{CONFIG.umap.split}.{part}.npy" for part in parts]


def gallery_settings(pretrain):
    """Return what the gallery shows of a pretraining: its augmentation, and not how it trains."""
    return canonical_json(PLAN.pretrains[pretrain].model_dump(mode="json", include={"augmentation", "view_size"}))


def gallery_report(kind):
    """Return how the report shows a gallery."""
    return {
        "caption": f"../report/{kind}.rst",
        "category": "Galleries",
        "subcategory": "{dataset}",
        "labels": {"pretraining": "{pretrain}", "seed": "{seed}", "gallery": kind},
    }


def summary_plots():
    """Return the names of the summary's plots; some take classifiers, or a grid."""
    of_classifiers = ["confusion", "mistakes", "finetune_history"] if CLASSIFIERS else []
    of_grids = ["sweep"] if any(run.grids for run in PLAN.runs) else []
    return ["label_efficiency", "history", "monitors", *of_classifiers, *of_grids]


def umap_report(layer, kind):
    """Return how the report shows one plot of a layer."""
    return {
        "caption": "../report/umap.rst",
        "category": "Features in the plane",
        "subcategory": "{dataset}",
        "labels": {
            "pretraining": "{pretrain}",
            "seed": "{seed}",
            "layer": layer.replace("_", " "),
            "plot": kind,
        },
    }


GPUS = int(machine_shows_gpu())
# Without a GPU, two trainings of one thread each beat one of two threads, so the short ones run side by side.
THREADS = 4 if GPUS else 1
