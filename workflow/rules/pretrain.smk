rule pretrain:
    input:
        images("train", "validation"),
        "resources/{dataset}/origins.parquet",
        labels_of_known_set,
        weights=published,
        parent=continued,
    output:
        directory("results/{dataset}/{pretrain}/seed{seed}/pretrain"),
    log:
        pretrain="logs/{dataset}/{pretrain}/seed{seed}/pretrain.log",
        check="logs/{dataset}/{pretrain}/seed{seed}/check.log",
        label="logs/{dataset}/{pretrain}/seed{seed}/label.log",
    benchmark:
        "benchmarks/{dataset}/{pretrain}/seed{seed}/pretrain.tsv"
    priority: 2  # all but the comparison with other features waits for it
    conda:
        "../envs/simclr.yaml"
    threads: 4 if GPUS else 16
    resources:
        gpu=GPUS,
        processes=1,
        nodes=1,
        mem_mb=16000,
        runtime=1440,
    params:
        settings=lambda wildcards: PLAN.pretrains[wildcards.pretrain].trained.as_json(),
        code=lambda wildcards: [code_hash("pretrain"), *code_of_pretrain(PLAN.pretrains[wildcards.pretrain])],
        own_weights=lambda wildcards: sha256_option(PLAN.pretrains[wildcards.pretrain].own_weights),
        weights=lambda wildcards, input: ["--weights", *input.weights] if input.weights else [],
        parent=lambda wildcards, input: ["--parent", *input.parent] if input.parent else [],
        label=label_beside,
        of_data=given(lambda wildcards: PLAN.listed(wildcards.dataset)),
        check=command_beside("check"),
        demands=given(lambda wildcards: demands_json(wildcards.dataset)),
        labels=labels_beside,
        data=subpath(input[0], parent=True),
        work=work_folder("{dataset}/{pretrain}/seed{seed}/pretrain"),
        step=command("pretrain"),
        gpus=gpus,
        time_budget=time_budget,
        options=options("workers", "compile", "save_minutes", "logger"),
    shell:
        "{params.label} --settings {params.of_data} --data {params.data:q}"
        " --out {params.labels:q} --quiet --log {log.label:q} &&"
        " {params.check} --settings {params.demands} --data {params.labels:q} --log {log.check:q} &&"
        " {params.step} --settings {params.settings:q} {params.weights:q} {params.own_weights:q} {params.parent:q}"
        " --data {params.data:q}"
        " --labels {params.labels:q} --seed {wildcards.seed}"
        " --out {output:q} --work {params.work:q}"
        " {params.gpus} --processes {resources.processes} --nodes {resources.nodes} {params.time_budget}"
        " {params.options} --log {log.pretrain:q}"


rule select:
    input:
        images("train", "validation"),
        labels_that_vote,
        candidates="results/{dataset}/{pretrain}/seed{seed}/pretrain",
    output:
        "results/{dataset}/{pretrain}/seed{seed}/encoder/encoder.safetensors",
        "results/{dataset}/{pretrain}/seed{seed}/encoder/selection.json",
    log:
        "logs/{dataset}/{pretrain}/seed{seed}/select.log",
    benchmark:
        "benchmarks/{dataset}/{pretrain}/seed{seed}/select.tsv"
    conda:
        "../envs/simclr.yaml"
    threads: THREADS
    resources:
        gpu=GPUS,
        mem_mb=8000,
        runtime=60,
    params:
        settings=CONFIG.selection.as_json(),
        code=lambda _: code_hash("select"),
        data=subpath(input[0], parent=True),
        out=subpath(output[0], parent=True),
        step=command("select"),
        gpus=gpus,
    shell:
        "{params.step} --settings {params.settings:q} --candidates {input.candidates:q}"
        " --data {params.data:q} --out {params.out:q} {params.gpus} --log {log:q}"


rule pretrain_all:
    input:
        collect("{run}/pretrain", run=RUNS),


rule select_all:
    input:
        collect("{run}/encoder/encoder.safetensors", run=RUNS),
