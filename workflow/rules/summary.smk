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
        found += predictions_of(classifier)
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


rule present:
    input:
        lambda wildcards: results_of(run_of(wildcards)),
        trained="results/{dataset}/{pretrain}/seed{seed}/pretrain",
        continued=continued_of,
        described="resources/{dataset}/dataset.json",
    output:
        "results/{dataset}/{pretrain}/seed{seed}/index.html",
    log:
        "logs/{dataset}/{pretrain}/seed{seed}/present.log",
    benchmark:
        "benchmarks/{dataset}/{pretrain}/seed{seed}/present.tsv"
    conda:
        "../envs/simclr.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        settings=presented,
        given=given(presented),
        code=lambda _: code_hash("present"),
        results=subpath(input.trained, ancestor=4),
        resources=subpath(input.described, ancestor=2),
        benchmarks=lambda wildcards, output: undeclared("benchmarks"),
        step=command("present"),
    shell:
        "{params.step} --settings {params.given} --results {params.results:q} --resources {params.resources:q}"
        " --benchmarks {params.benchmarks:q} --out {output:q} --log {log:q}"


rule summary:
    input:
        list(dict.fromkeys(file for run in PLAN.runs for file in results_of(run))),
        [f"results/{run.folder}/index.html" for run in PLAN.runs if SUMMARY.has_pages],
        trained=collect("results/{training}/pretrain", training=PLAN.trainings),
        described=collect("resources/{dataset}/dataset.json", dataset=PLAN.datasets),
    output:
        "results/summary.csv",
        "results/summary.md",
        report(
            "results/summary.html",
            caption="../report/summary.rst",
            category="1 Summary",
            labels={"plot": "all runs"},
        ),
        [
            report(
                f"results/summary/{name}.png",
                caption=f"../report/{name}.rst",
                category="1 Summary",
                labels={"plot": name.replace("_", " ")},
            )
            for name in PLAN.summary_plots
        ],
        collect("results/summary/{name}.svg", name=PLAN.summary_plots),
        "results/summary/run.json",
    log:
        "logs/summary.log",
    benchmark:
        "benchmarks/summary.tsv"
    conda:
        "../envs/simclr.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        settings=SUMMARY.as_json(),
        given=given(lambda wildcards: SUMMARY.as_json()),
        code=lambda _: code_hash("summarize"),
        # Names of all files would be longer than a command may be, so it gets the folders that hold them.
        results=lambda wildcards, input: Path(input.trained[0]).parents[3],
        resources=lambda wildcards, input: Path(input.described[0]).parents[1],
        benchmarks=lambda wildcards, output: undeclared("benchmarks"),
        out=subpath(output[0], parent=True),
        config=config_named,
        step=command("summarize"),
    shell:
        "{params.step} --settings {params.given} --results {params.results:q} --resources {params.resources:q} --out {params.out:q}"
        " --benchmarks {params.benchmarks:q} {params.config}"
        " --log {log:q}"
