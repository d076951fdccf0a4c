import shlex
from functools import cache
from pathlib import Path

from simclr_steps.data.file_states import fingerprints_to_plan
from simclr_steps.files import checksum
from simclr_steps.networks.user_code import augmentation_code, own_code
from simclr_steps.settings.base import array_of
from simclr_steps.settings.judged import instead_of_test, splits_judged
from simclr_steps.settings.runs import judge_of


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


def labels_of_known_set(wildcards):
    """Return the labels of a downloaded set, which nobody edits; those of the user's own are no input of pretraining."""
    files = ("dataset.json", "train.labels.npy", "validation.labels.npy", "train.rows.parquet")
    is_known = CONFIG.datasets[wildcards.dataset].is_downloaded
    return [f"resources/{wildcards.dataset}/{file}" for file in files] if is_known else []


def labels_beside(wildcards, input, output):
    """Return the folder with the labels that a pretraining begins with."""
    is_known = CONFIG.datasets[wildcards.dataset].is_downloaded
    own = work_folder("{dataset}/{pretrain}/seed{seed}/labels/{dataset}")
    return str(Path(input[0]).parent) if is_known else own(wildcards, output)


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


def split_predicted(wildcards, output):
    """Return the split to predict or gather: test for the rule without such a wildcard; derived, it reruns nothing."""
    return wildcards.get("split", "test")


def split_tabulated(wildcards, output):
    """Return the split whose rows are written: unlabeled, whose rule has no split, or one with an array."""
    return wildcards.get("split", "unlabeled")


def images(*splits):
    """Return the packed images that a step reads: these splits and no other."""
    files = [f"{split}.images.npy" for split in splits]
    return [f"resources/{{dataset}}/{file}" for file in ("images.json", *files)]


def arrays(*splits):
    """Return the same with the labels."""
    files = [f"{split}.labels.npy" for split in splits]
    return [*images(*splits), *(f"resources/{{dataset}}/{file}" for file in ("dataset.json", *files))]


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


def features_beside(wildcards):
    """Return a run's features of train and of test or validation, whichever is gathered, if both are explored.

    Among them, the neighbors of a classifier's mistakes are found; those of images of train are found by explore itself.
    """
    array, of_run = wildcards.get("split", "test"), f"{wildcards.dataset}/{wildcards.start}"
    run = RUN_IN.get(of_run)  # none where a classifier starts from no run's encoder
    explored = explore_of(run.dataset, run.judged_by).arrays if run else []
    is_known = array in ("test", "validation") and {"train", array} <= set(explored)
    folders = [f"results/{of_run}/features/{one}" for one in ("train", array)] if is_known else []
    return [f"{folder}/{file}" for folder in folders for file in ("backbone.npy", "run.json")]


def features_option(wildcards, input):
    """Return the option that names the folder of these features; derived, it triggers no rerun."""
    files = input.get("features_beside")
    return f"--features {shlex.quote(str(Path(files[0]).parents[1]))}" if files else ""


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
