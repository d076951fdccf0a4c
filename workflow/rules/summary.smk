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
        collect("resources/{dataset}/dataset.json", dataset=DATASETS),
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
            for name in summary_plots()
        ],
        collect("results/summary/{name}.svg", name=summary_plots()),
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
        settings=canonical_json({"runs": [run.model_dump(mode="json") for run in PLAN.runs]}),
        code=code_hash("summarize"),
        step=command("summarize"),
    shell:
        "{params.step} --settings {params.settings:q} --results results --resources resources --out results"
        " --log {log:q}"
