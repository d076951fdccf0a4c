import hashlib
import shlex
import sys
from functools import cache

from snakemake.utils import update_config

from simclr_steps.data.asked_columns import require_table
from simclr_steps.data.file_states import fingerprints_to_plan
from simclr_steps.files import canonical_json, checksum, write_text
from simclr_steps.machine.code_hash import code_hash  # called in functions, as a job needs that of its step only
from simclr_steps.machine.container import check_data, check_gpu, check_image, image_of, python_in
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.gpus import machine_shows_gpu
from simclr_steps.machine.processes import STARTER, as_starter
from simclr_steps.networks.user_code import augmentation_code, own_code
from simclr_steps.settings.base import array_of
from simclr_steps.settings.config import read_config
from simclr_steps.settings.judged import instead_of_test, splits_judged
from simclr_steps.settings.plan import plan
from simclr_steps.settings.prediction import predictions_name
from simclr_steps.settings.reading import typed
from simclr_steps.settings.runs import judge_of


def read_plan():
    """Return what the config asks for; UserError where it, or a file that it names, is wrong."""
    update_config(config, typed(OVERRIDES))
    if not config:
        raise UserError("no config found: create config/config.yaml, or pass a file with --configfile")
    asked = plan(read_config(config))
    asked.check_paths([undeclared(folder) for folder in asked.folders])
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


def python():
    """Return how a command starts Python: this one, conda's, or the image's with its caches in the folder work."""
    if IN_CONTAINER:
        return python_in(image_of(CONFIG.container), undeclared("work/cache"))
    return "python" if IN_CONDA else shlex.quote(sys.executable)


PYTHON = python()

# A local job's step would outlive a killed Snakemake and overwrite the next one's results. A scheduled one may live on.
ENDS_WITH = "" if IS_SCHEDULED else f"{STARTER}={as_starter()}"


def predictions_of(folder):
    """Return what a fine-tuning predicts of each split that it is asked to."""
    return [f"results/{folder}/{predictions_name(split)}.parquet" for split in PREDICTED[folder]]


def tabulated_of(run):
    """Return the tables beside a run's features."""
    splits = instead_of_test(CONFIG.prediction.splits, run.judged_by)
    return [f"results/{run.folder}/features/{split}/rows.parquet" for split in splits]


def in_report(file, **told):
    """Mark a run's picture for Snakemake's report, unless there are too many runs for one page."""
    return file if SUMMARY.has_pages else report(file, **told)


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


def command(step):
    """Return a param that starts a step's command; as it is derived from the resources, it triggers no rerun."""
    path = shlex.quote(str(PACKAGE.parent))

    def start(wildcards, resources, threads):
        # srun, unlike other launchers, would give each node's process one core of those that the job has
        cores = f"SRUN_CPUS_PER_TASK={threads}"
        launcher = f"{cores} {resources.mpi} -n {resources.nodes} " if "mpi" in resources.keys() else ""
        starter = "" if launcher else f"{ENDS_WITH} "
        return f"PYTHONSAFEPATH=1 PYTHONPATH={path} {starter}{launcher}{PYTHON} -m simclr_steps {step}"

    return start


def time_budget(wildcards, resources):
    """Return the option by which a training leaves in time, where a scheduler ends it: not in a local job."""
    return f"--time-budget {resources.runtime}" if IS_SCHEDULED else ""


def gpus(wildcards, resources):
    """Return the option that says how many GPUs a step takes; where only the machine was asked, the step finds out."""
    is_guess = resources.gpu and not (GPUS_ASKED or IS_SCHEDULED)
    return "" if is_guess else f"--gpus {resources.gpu}"


def options(*names):
    """Return a param: options of the step that a profile may set as resources, which trigger no rerun."""

    def given(wildcards, resources):
        set_ones = [name for name in names if name in resources.keys()]
        return " ".join(f"--{name.replace('_', '-')} {shlex.quote(str(getattr(resources, name)))}" for name in set_ones)

    return given


LONGEST = 50_000  # bytes; the system allows 131,072 for one argument, and a container's whole command is one


def as_argument(settings):
    """Return settings as an argument of a command: their text, or the file that holds it where it is too long."""
    content = settings.encode()
    if len(content) <= LONGEST:
        return shlex.quote(settings)
    path = Path(undeclared(f"work/settings/{hashlib.sha256(content).hexdigest()[:16]}.json"))
    if not (path.exists() or is_dry_run()):
        write_text(path, settings)
    return shlex.quote(str(path))


def given(settings):
    """Return a param: as_argument of what a function of the wildcards returns; derived, it triggers no rerun."""
    return lambda wildcards, output: as_argument(settings(wildcards))


def originals(dataset):
    """Return what download wrote for prepare; the user's own files are known by their fingerprint instead."""
    return [f"resources/{dataset}/originals.json"] if CONFIG.datasets[dataset].is_downloaded else []


@cache
def own_fingerprints(dataset):
    return fingerprints_to_plan(CONFIG.datasets[dataset])


def own_files(dataset, rule):
    """Return the fingerprint of what the user's own files give to prepare, or to label: pixels, or labels."""
    if CONFIG.datasets[dataset].is_downloaded:
        return []
    found = own_fingerprints(dataset)
    return [found.pixels if rule == "prepare" else found.labels]


def recorded_files(dataset, rule):
    """Return the same as the steps record it, nothing where this environment cannot tell."""
    is_known = CONFIG.datasets[dataset].is_downloaded or own_fingerprints(dataset).are_of_steps
    return own_files(dataset, rule) if is_known else []


@cache
def demands_json(dataset):
    return PLAN.demands(dataset).as_json()


@cache
def checksum_of(path):
    """Return the checksum of a user's file of weights, which is not its time; of a folder download_weights knows it."""
    return [checksum(Path(path))] if path and Path(path).is_file() else []


def sha256_option(path):
    """Return the option that makes a step refuse another file of weights than the user's that is there now."""
    return ["--weights-sha256", *checksum_of(path)] if checksum_of(path) else []


def published(wildcards):
    """Return what download_weights writes for a pretraining that starts from published weights."""
    return file_of(PLAN.pretrains[wildcards.pretrain].published_weights)


def file_of(weights):
    """Return what download_weights writes of published weights, nothing where there are none."""
    return [f"resources/weights/{weights.name}.json"] if weights else []


def continued(wildcards):
    """Return the folder of the pretraining from whose end another goes on, on the same data from the same seed."""
    parent = PLAN.parents.get(wildcards.pretrain)
    return [f"results/{wildcards.dataset}/{parent}/seed{wildcards.seed}/pretrain"] if parent else []


def command_beside(step):
    """Return a param that starts a quick step in the command of pretraining, before it; derived, it triggers no rerun.

    Labels, and what a fine-tuning asks of the data, are looked at before any training and must rerun none. As inputs
    or params they would, and Snakemake forgets other reasons to run a job whose input is `ancient` and made anew.
    """
    path = shlex.quote(str(PACKAGE.parent))
    return lambda wildcards, resources: f"PYTHONSAFEPATH=1 PYTHONPATH={path} {PYTHON} -m simclr_steps {step}"


def labels_of_known_set(wildcards):
    """Return the labels of a downloaded set, which nobody edits; those of the user's own are no input of pretraining."""
    files = ("dataset.json", "train.labels.npy", "validation.labels.npy", "train.rows.parquet")
    is_known = CONFIG.datasets[wildcards.dataset].is_downloaded
    return [f"resources/{wildcards.dataset}/{file}" for file in files] if is_known else []


def label_beside(wildcards, resources):
    """Return the command that writes the user's own labels as they are now; for a known set one that does nothing."""
    is_known = CONFIG.datasets[wildcards.dataset].is_downloaded
    return ":" if is_known else command_beside("label")(wildcards, resources)


def labels_beside(wildcards, input, output):
    """Return the folder with the labels that a pretraining begins with."""
    is_known = CONFIG.datasets[wildcards.dataset].is_downloaded
    own = work_folder("{dataset}/{pretrain}/seed{seed}/labels/{dataset}")
    return str(Path(input[0]).parent) if is_known else own(wildcards, output)


def config_named(wildcards, output):
    """Return the option that names the config on the summary's page; derived, it triggers no rerun."""
    name = " with ".join([", ".join(config_files()), *(["values of --config"] if OVERRIDES else [])])
    return f"--config {shlex.quote(name)}" if config_files() else ""


def compared(wildcards):
    """Return the settings of one of those that the encoders of a data set are compared with."""
    return compared_of(wildcards.dataset)[wildcards.compared]


def finetuned(wildcards):
    """Return the settings of a fine-tuning, which starts from a run's encoder or from what runs share in compare."""
    return PLAN.finetunings["{dataset}/{start}/finetune/{finetune}".format(**wildcards)]


def encoder_to_finetune(wildcards):
    """Return the encoder that a fine-tuning starts from, if it does."""
    is_pretrained = finetuned(wildcards).network is None
    return ["results/{dataset}/{start}/encoder/encoder.safetensors".format(**wildcards)] if is_pretrained else []


def code_of_finetune(wildcards):
    """Return the hashes of the user's own code that a fine-tuning runs; an encoder's changes with its weights."""
    settings = finetuned(wildcards)
    own = own_code(settings.network.encoder) if settings.network else []
    return [*own, *augmentation_code(settings.augmentation)]


def work_folder(name):
    """Return a param: where a training keeps what it needs to go on, which is no output, and triggers no rerun."""
    return lambda wildcards, output: undeclared(f"work/{name}".format(**wildcards))


def split_predicted(wildcards, output):
    """Return the split to predict or gather: test for the rule without such a wildcard; derived, it reruns nothing."""
    return wildcards.get("split", "test")


def images(*splits):
    """Return the packed images that a step reads: these splits and no other."""
    files = [f"{split}.images.npy" for split in splits]
    return [f"resources/{{dataset}}/{file}" for file in ("images.json", *files)]


def split_tabulated(wildcards, output):
    """Return the split whose rows are written: unlabeled, whose rule has no split, or one with an array."""
    return wildcards.get("split", "unlabeled")


def arrays(*splits):
    """Return the same with the labels."""
    files = [f"{split}.labels.npy" for split in splits]
    return [*images(*splits), *(f"resources/{{dataset}}/{file}" for file in ("dataset.json", *files))]


def judged_by(folder):
    """Return a function of the wildcards: by which split what is in a folder of results is judged."""
    return lambda wildcards: judge_of(folder.format(**wildcards), PLAN.judged_by, PLAN.runs)


def arrays_judged(folder):
    """Return a function of the wildcards: arrays_and_rows of the training split and of those that it is judged on."""

    def files(wildcards):
        of_splits = arrays_and_rows("train", *splits_judged(judged_by(folder)(wildcards)))
        return [file.format(**wildcards) for file in of_splits]

    return files


def labels_that_vote(wildcards):
    """Return the labels that choose the checkpoint of a pretraining, if they do."""
    files = ("dataset.json", "train.labels.npy", "validation.labels.npy") if PLAN.may_vote(wildcards.pretrain) else ()
    return [f"resources/{wildcards.dataset}/{file}" for file in files]


def arrays_and_rows(*splits):
    """Return the same with the rows, which name the images' groups."""
    return [*arrays(*splits), *(f"resources/{{dataset}}/{split}.rows.parquet" for split in splits)]


def rows(split):
    """Return what is known of the images of a split, without their pixels."""
    files = ("dataset.json", f"{split}.labels.npy", f"{split}.rows.parquet")
    return [f"resources/{{dataset}}/{file}" for file in files]


def rows_of_array(wildcards):
    """Return the same of the array that holds a split."""
    return [file.format(**wildcards) for file in rows(array_of(wildcards.split))]


def parts_of_array(wildcards):
    """Return what a classifier predicted of the array that holds a split."""
    folder = "results/{dataset}/{start}/finetune/{finetune}".format(**wildcards)
    return f"{folder}/{array_of(wildcards.split)}.parts"


def asked_of_umap(wildcards):
    """Return how a run's features are plotted."""
    return umap_of(wildcards.dataset, judged_by(OF_RUN)(wildcards))


def asked_of_explore(wildcards):
    """Return how images are looked through by a run's features."""
    return explore_of(wildcards.dataset, judged_by(OF_RUN)(wildcards))


def splits_drawn(wildcards):
    """Return the splits that UMAP and the neighbors' gallery show."""
    return instead_of_test(CONFIG.umap.splits, judged_by(OF_RUN)(wildcards))


def images_drawn(wildcards):
    """Return the packed images of these splits."""
    arrays = dict.fromkeys(map(array_of, splits_drawn(wildcards)))
    return [f"resources/{wildcards.dataset}/{array}.images.npy" for array in arrays]


def features_drawn(file):
    """Return a function of the wildcards: a file of what is gathered of each of them."""
    return lambda wildcards: features_of(splits_drawn(wildcards), file)(wildcards)


def folders_drawn(wildcards, input):
    """Return the folders of these files."""
    return [str(Path(file).parent) for file in input.backbone]


def features_of(splits, *files):
    """Return a function of the wildcards: files of what is gathered of some splits, each in a folder of its own."""
    run = f"results/{OF_RUN}"
    return lambda wildcards: [
        f"{run}/features/{split}/{file}".format(**wildcards) for split in splits for file in files
    ]


def features_explored(*files):
    """Return a function of the wildcards: the same of the splits that are explored."""
    return lambda wildcards: features_of(asked_of_explore(wildcards).arrays, *files)(wildcards)


def images_explored(wildcards):
    """Return the packed images of the splits that are explored."""
    return [file.format(**wildcards) for file in images(*asked_of_explore(wildcards).arrays)]


def features_with_columns(*files):
    """Return a function of the wildcards: files of what is gathered of all splits that a run may read."""
    return lambda wildcards: features_of(("train", *splits_judged(judged_by(OF_RUN)(wildcards))), *files)(wildcards)


def gallery_report(kind):
    """Return how the report shows a gallery."""
    return {
        "caption": f"../report/{kind}.rst",
        "category": "3 Galleries",
        "subcategory": "{dataset}",
        "labels": {"pretraining": "{pretrain}", "seed": "{seed}", "gallery": kind},
    }


def umap_report(layer, kind):
    """Return how the report shows the plot of a layer, or the map of both."""
    return {
        "caption": f"../report/{layer}.rst",
        "category": "2 Features in 2D",
        "subcategory": "{dataset}",
        "labels": {
            "pretraining": "{pretrain}",
            "seed": "{seed}",
            "layer": layer.replace("_", " "),
            "plot": kind,
        },
    }


def umap_by_columns(*kinds):
    """Return the plot of the points by the columns that `metadata` names, if there are any, for the report as well."""
    plots = [f"results/{{dataset}}/{{pretrain}}/seed{{seed}}/umap/metadata.{kind}" for kind in kinds]
    return [in_report(plots[0], **umap_report("metadata", "picture")), *plots[1:]] if CONFIG.metadata else []
