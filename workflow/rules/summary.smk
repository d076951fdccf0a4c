rule summary:
    input:
        rules.evaluate_all.input,
        collect("{run}/pretrain", run=RUNS),
        collect("{run}/encoder/selection.json", run=RUNS),
        collect("{run}/umap/quality.json", run=RUNS),
        collect(
            "{classifier}/{file}",
            classifier=CLASSIFIERS,
            file=["metrics.json", "history.csv"],
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
        report(
            "results/summary/label_efficiency.png",
            caption="../report/label_efficiency.rst",
            category="Summary",
            labels={"plot": "label efficiency"},
        ),
        report(
            "results/summary/history.png",
            caption="../report/history.rst",
            category="Summary",
            labels={"plot": "training history"},
        ),
        "results/summary/label_efficiency.svg",
        "results/summary/history.svg",
    log:
        "logs/summary.log",
    benchmark:
        "benchmarks/summary.tsv"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        settings=canonical_json({"runs": [run.model_dump(mode="json") for run in PLAN.runs]}),
        code=code_hash("summarize"),
        step=command("summarize"),
    shell:
        "{params.step} --settings {params.settings:q} --results results --out results --log {log:q}"
