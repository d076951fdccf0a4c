rule summary:
    input:
        rules.evaluate_all.input,
        collect("{run}/encoder/selection.json", run=RUNS),
        collect("{run}/umap/quality.json", run=RUNS),
        collect(
            "{run}/umap/{file}",
            run=RUNS,
            file=["backbone.png", "projection_head.png", "map.html"],
        ),
        collect("{run}/umap/metadata.png", run=RUNS if CONFIG.metadata else []),
        collect(
            "{run}/explore/{file}",
            run=RUNS if CONFIG.explore.arrays else [],
            file=["explore.json", "explore.html"],
        ),
        collect("{run}/galleries/{file}", run=RUNS, file=["augmentation.png", "neighbors.png", "run.json"]),
        collect(
            "{classifier}/{file}",
            classifier=CLASSIFIERS,
            file=["metrics.json", "history.csv", "correct.npz"],
        ),
        PREDICTIONS,
        TABULATED,
        IMAGES_PREDICTED,
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
        settings=PLAN.summary.as_json(),
        given=given(lambda wildcards: PLAN.summary.as_json()),
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
