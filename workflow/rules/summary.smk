rule summary:
    input:
        rules.evaluate_all.input,
        collect("{run}/pretrain", run=RUNS),
        collect("{run}/encoder/selection.json", run=RUNS),
        collect("{run}/umap/quality.json", run=RUNS),
        collect("{run}/galleries/run.json", run=RUNS),
        collect(
            "{classifier}/{file}",
            classifier=CLASSIFIERS,
            file=["metrics.json", "history.csv", "predictions.parquet"],
        ),
        collect("resources/{dataset}/dataset.json", dataset=PLAN.datasets),
        collect(
            "resources/{dataset}/test.{part}.npy",
            dataset=sorted({run.dataset for run in PLAN.runs if run.finetunes}),
            part=["images", "labels"],
        ),
    output:
        "results/summary.csv",
        "results/summary.md",
        report(
            "results/summary.html",
            caption="../report/summary.rst",
            category="Summary",
            labels={"plot": "all runs"},
        ),
        [
            report(
                f"results/summary/{name}.png",
                caption=f"../report/{name}.rst",
                category="Summary",
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
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        settings=PLAN.summary.as_json(),
        code=code_hash("summarize"),
        step=command("summarize"),
    shell:
        "{params.step} --settings {params.settings:q} --results results --resources resources --out results"
        " --log {log:q}"
