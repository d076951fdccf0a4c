rule download:
    output:
        "resources/{dataset}/originals.json",
    log:
        "logs/{dataset}/download.log",
    benchmark:
        "benchmarks/{dataset}/download.tsv"
    conda:
        "../envs/simclr.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=240,
    params:
        what=lambda wildcards: PLAN.what_is_downloaded(wildcards.dataset),
        code=lambda _: code_hash("download"),
        given=given(lambda wildcards: CONFIG.datasets[wildcards.dataset].as_json()),
        folder=lambda wildcards, output: undeclared(f"resources/{wildcards.dataset}/originals"),  # partial files stay
        step=command("download"),
    shell:
        "{params.step} --settings {params.given} --folder {params.folder:q} --out {output:q} --log {log:q}"


rule prepare:
    input:
        no_files,
        lambda wildcards: originals(wildcards.dataset),
    output:
        "resources/{dataset}/images.json",
        "resources/{dataset}/origins.parquet",
        collect("resources/{{dataset}}/{split}.images.npy", split=["train", "validation", "test"]),
    log:
        "logs/{dataset}/prepare.log",
    benchmark:
        "benchmarks/{dataset}/prepare.tsv"
    conda:
        "../envs/simclr.yaml"
    threads: 16
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        settings=lambda wildcards: canonical_json(PLAN.packed(wildcards.dataset)),
        given=given(lambda wildcards: PLAN.listed(wildcards.dataset)),
        code=lambda _: code_hash("prepare"),
        own_files=lambda wildcards: own_files(wildcards.dataset, "prepare"),
        originals=lambda wildcards, input: ["--originals", *input] if input else [],
        out=subpath(output[0], parent=True),
        step=command("prepare"),
    shell:
        "{params.step} --settings {params.given} {params.originals:q} --out {params.out:q}"
        " --workers {threads} --log {log:q}"


rule label:
    input:
        "resources/{dataset}/images.json",
        "resources/{dataset}/origins.parquet",
        originals=lambda wildcards: originals(wildcards.dataset),
    output:
        "resources/{dataset}/dataset.json",
        multiext("resources/{dataset}/train", ".labels.npy", ".rows.parquet"),
        multiext("resources/{dataset}/validation", ".labels.npy", ".rows.parquet"),
        multiext("resources/{dataset}/test", ".labels.npy", ".rows.parquet"),
        "resources/{dataset}/table.csv",
    log:
        "logs/{dataset}/label.log",
    benchmark:
        "benchmarks/{dataset}/label.tsv"
    conda:
        "../envs/simclr.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        settings=lambda wildcards: canonical_json(PLAN.labeled(wildcards.dataset)),
        given=given(lambda wildcards: PLAN.listed(wildcards.dataset)),
        code=lambda _: code_hash("label"),
        own_files=lambda wildcards: own_files(wildcards.dataset, "label"),
        originals=lambda wildcards, input: ["--originals", *input.originals] if input.originals else [],
        data=subpath(input[0], parent=True),
        out=subpath(output[0], parent=True),
        step=command("label"),
    shell:
        "{params.step} --settings {params.given} {params.originals:q} --data {params.data:q} --out {params.out:q}"
        " --log {log:q}"


rule download_weights:
    output:
        "resources/weights/{weights}.json",
    log:
        "logs/weights/{weights}.log",
    benchmark:
        "benchmarks/weights/{weights}.tsv"
    conda:
        "../envs/simclr.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=240,
    params:
        what=lambda wildcards: [PLAN.published[wildcards.weights].encoder, PLAN.published[wildcards.weights].sha256],
        own_file=lambda wildcards: checksum_of(PLAN.published[wildcards.weights].unknown_file),
        code=lambda _: code_hash("download_weights"),
        given=given(lambda wildcards: PLAN.published[wildcards.weights].as_json()),
        folder=lambda wildcards, output: undeclared(f"resources/weights/{wildcards.weights}"),  # partial files stay
        step=command("download_weights"),
    shell:
        "{params.step} --settings {params.given} --folder {params.folder:q} --out {output:q} --log {log:q}"


rule download_all:
    input:
        collect(
            "resources/{dataset}/originals.json",
            dataset=[name for name in PLAN.datasets if CONFIG.datasets[name].is_downloaded],
        ),
        collect("resources/weights/{weights}.json", weights=PLAN.published),


rule prepare_all:
    input:
        collect("resources/{dataset}/dataset.json", dataset=PLAN.datasets),
