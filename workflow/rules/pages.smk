def results_of(run):
    """Return what a page shows of a run, its own results and those that it shares with others; not its training."""
    folder = f"results/{run.folder}"
    measured = [f"{folder}/evaluate", *(f"results/{shared}" for shared in run.folders_compared)]
    explored = ["explore.json", "explore.html"] if CONFIG.explore.arrays else []
    files = [
        "encoder/selection.json",
        "umap/quality.json",
        "umap/backbone.png",
        "umap/projection_head.png",
        "umap/map.html",
    ]
    files += ["evaluate/metadata.json", "umap/metadata.png"] if CONFIG.metadata else []
    files += [f"explore/{name}" for name in explored]
    files += ["galleries/augmentation.png", "galleries/neighbors.png", "galleries/run.json"]
    found = [f"{folder}/{file}" for file in files]
    found += [f"{one}/{file}" for one in measured for file in ("knn.json", "linear.json", "correct.npz")]
    for name, classifier in run.classifiers.items():
        found += [f"results/{classifier}/{file}" for file in ("metrics.json", "history.csv", "correct.npz")]
        if name in run.judged_for_others:
            continue  # a page of all shows what such a classifier predicts of the others' runs
        found += [*predictions_of(classifier), f"results/{classifier}/{mistakes_name(run.judged_by)}"]
        images = dict.fromkeys(f"{array_of(split)}.images.npy" for split in PREDICTED[classifier])
        found += [f"resources/{run.dataset}/{file}" for file in ("images.json", *images)]
    return [*found, *tabulated_of(run)]


def run_of(wildcards):
    """Return the run of a page."""
    folder = OF_RUN.format(**wildcards)
    with one_sentence("error"):
        if folder not in RUN_IN:
            raise UserError(f"results/{folder}/index.html: the config asks for no such run: add it to experiments")
    return RUN_IN[folder]


def continued_of(wildcards):
    """Return the trainings that the one of a page's run continues."""
    run = run_of(wildcards)
    return [f"results/{run.folder_of(name)}/pretrain" for name in run.continues]


def presented(wildcards):
    """Return, as JSON, what the page of a run is about."""
    return SUMMARY.of_one(run_of(wildcards)).as_json()
