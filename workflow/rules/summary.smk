rule present:
    input:
        lambda wildcards: results_of(run_of(wildcards)),
        trained="results/{dataset}/{pretrain}/seed{seed}/pretrain",
        continued=continued_of,
        described="resources/{dataset}/dataset.json",
    output:
        "results/{dataset}/{pretrain}/seed{seed}/index.html",
        "results/{dataset}/{pretrain}/seed{seed}/index.json",
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
        out=subpath(output[0], parent=True),
        step=command("present"),
    shell:
        "{params.step} --settings {params.given} --results {params.results:q} --resources {params.resources:q}"
        " --benchmarks {params.benchmarks:q} --out {params.out:q} --log {log:q}"


rule summary:
    input:
        list(dict.fromkeys(file for run in PLAN.runs for file in results_of(run))),
        [f"results/{run.folder}/index.html" for run in PLAN.runs] if SUMMARY.has_pages else [],
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
