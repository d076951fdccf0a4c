rule compare:
    input:
        arrays_judged("{dataset}/compare/{compared}"),
        weights=lambda wildcards: file_of(compared(wildcards).published),
    output:
        "results/{dataset}/compare/{compared}/knn.json",
        "results/{dataset}/compare/{compared}/linear.json",
        "results/{dataset}/compare/{compared}/correct.npz",
    log:
        "logs/{dataset}/compare/{compared}.log",
    benchmark:
        "benchmarks/{dataset}/compare/{compared}.tsv"
    conda:
        "../envs/simclr.yaml"
    threads: THREADS
    resources:
        gpu=GPUS,
        mem_mb=16000,
        runtime=240,
    params:
        settings=lambda wildcards: compared(wildcards).as_json(),
        code=lambda wildcards: [
            code_hash("compare"),
            *own_code(compared(wildcards).encoder),
            *augmentation_code(CONFIG.evaluation.augmentation),
        ],
        own_weights=lambda wildcards: sha256_option(compared(wildcards).file),
        weights=lambda wildcards, input: ["--weights", *input.weights] if input.weights else [],
        judged_by=judged_by("{dataset}/compare/{compared}"),
        data=subpath(input[0], parent=True),
        out=subpath(output[0], parent=True),
        step=command("compare"),
        gpus=gpus,
    shell:
        "{params.step} --settings {params.settings:q} {params.weights:q} {params.own_weights:q} --data {params.data:q}"
        " --judged-by {params.judged_by} --out {params.out:q} {params.gpus} --log {log:q}"


rule evaluate:
    input:
        arrays_judged(OF_RUN),
        encoder="results/{dataset}/{pretrain}/seed{seed}/encoder/encoder.safetensors",
    output:
        "results/{dataset}/{pretrain}/seed{seed}/evaluate/knn.json",
        "results/{dataset}/{pretrain}/seed{seed}/evaluate/linear.json",
        "results/{dataset}/{pretrain}/seed{seed}/evaluate/correct.npz",
    log:
        "logs/{dataset}/{pretrain}/seed{seed}/evaluate.log",
    benchmark:
        "benchmarks/{dataset}/{pretrain}/seed{seed}/evaluate.tsv"
    conda:
        "../envs/simclr.yaml"
    threads: THREADS
    resources:
        gpu=GPUS,
        mem_mb=16000,
        runtime=240,
    params:
        settings=CONFIG.evaluation.as_json(),
        code=lambda _: [code_hash("evaluate"), *augmentation_code(CONFIG.evaluation.augmentation)],
        judged_by=judged_by(OF_RUN),
        data=subpath(input[0], parent=True),
        out=subpath(output[0], parent=True),
        step=command("evaluate"),
        gpus=gpus,
    shell:
        "{params.step} --settings {params.settings:q} --encoder {input.encoder:q}"
        " --data {params.data:q} --seed {wildcards.seed} --judged-by {params.judged_by}"
        " --out {params.out:q} {params.gpus} --log {log:q}"


rule metadata:
    input:
        "resources/{dataset}/dataset.json",
        features_with_columns("rows.parquet", "run.json", "backbone.npy"),
        of_train="results/{dataset}/{pretrain}/seed{seed}/features/train/run.json",
    output:
        "results/{dataset}/{pretrain}/seed{seed}/evaluate/metadata.json",
    log:
        "logs/{dataset}/{pretrain}/seed{seed}/metadata.log",
    benchmark:
        "benchmarks/{dataset}/{pretrain}/seed{seed}/metadata.tsv"
    conda:
        "../envs/simclr.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        settings=canonical_json({"columns": CONFIG.metadata}),
        code=lambda _: code_hash("metadata"),
        judged_by=judged_by(OF_RUN),
        data=subpath(input[0], parent=True),
        features=subpath(input.of_train, ancestor=2),
        step=command("metadata"),
    shell:
        "{params.step} --settings {params.settings:q} --features {params.features:q}"
        " --data {params.data:q} --judged-by {params.judged_by} --out {output:q} --log {log:q}"


rule evaluate_all:
    input:
        collect("{run}/evaluate/metadata.json", run=RUNS if CONFIG.metadata else []),
        collect(
            "{folder}/{file}",
            folder=[*(f"{run}/evaluate" for run in RUNS), *COMPARED],
            file=["knn.json", "linear.json", "correct.npz"],
        ),
