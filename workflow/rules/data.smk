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
        what=lambda wildcards: what_is_downloaded(wildcards.dataset),
        code=code_hash("download"),
        settings=lambda wildcards, output: settings_json("datasets", wildcards.dataset),
        folder=subpath(output[0], strip_suffix=".json"),
        step=command("download"),
    shell:
        "{params.step} --settings {params.settings:q} --folder {params.folder:q} --out {output:q} --log {log:q}"


rule prepare:
    input:
        no_files,
        lambda wildcards: originals(wildcards.dataset),
    output:
        "resources/{dataset}/dataset.json",
        multiext("resources/{dataset}/train", ".images.npy", ".labels.npy", ".rows.csv"),
        multiext("resources/{dataset}/validation", ".images.npy", ".labels.npy", ".rows.csv"),
        multiext("resources/{dataset}/test", ".images.npy", ".labels.npy", ".rows.csv"),
        multiext("resources/{dataset}/unlabeled", ".images.npy", ".labels.npy", ".rows.csv"),
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
        settings=lambda wildcards: packed_settings(wildcards.dataset),
        code=code_hash("prepare"),
        own_files=lambda wildcards: own_files(wildcards.dataset),
        originals=lambda wildcards, input: (["--originals", input[0]] if is_downloaded(wildcards.dataset) else []),
        step=command("prepare"),
    shell:
        "{params.step} --settings {params.settings:q} {params.originals:q} --out resources/{wildcards.dataset:q}"
        " --workers {threads} --log {log:q}"


rule download_all:
    input:
        collect(
            "resources/{dataset}/originals.json",
            dataset=filter(is_downloaded, DATASETS),
        ),


rule prepare_all:
    input:
        collect("resources/{dataset}/dataset.json", dataset=DATASETS),
