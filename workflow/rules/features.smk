rule predict_features:
    input:
        images("{split}"),
        model="results/{dataset}/{pretrain}/seed{seed}/encoder/encoder.safetensors",
    output:
        temp(directory("results/{dataset}/{pretrain}/seed{seed}/features/{split}/parts")),
    log:
        "logs/{dataset}/{pretrain}/seed{seed}/features/{split}.predict.log",
    benchmark:
        "benchmarks/{dataset}/{pretrain}/seed{seed}/features/{split}.predict.tsv"
    priority: 1  # UMAP, which waits for the features, takes long
    conda:
        "../envs/simclr.yaml"
    threads: THREADS
    resources:
        gpu=GPUS,
        processes=1,
        mem_mb=16000,
        runtime=120,
    params:
        code=lambda _: code_hash("predict"),
        data=subpath(input[0], parent=True),
        split=split_predicted,
        step=command("predict"),
        gpus=gpus,
    shell:
        "{params.step} --model {input.model:q} --data {params.data:q} --split {params.split}"
        " --out {output:q} {params.gpus} --processes {resources.processes} --log {log:q}"


rule gather_features:
    input:
        "resources/{dataset}/images.json",
        parts=rules.predict_features.output,
    output:
        "results/{dataset}/{pretrain}/seed{seed}/features/{split}/backbone.npy",
        "results/{dataset}/{pretrain}/seed{seed}/features/{split}/projection_head.npy",
        "results/{dataset}/{pretrain}/seed{seed}/features/{split}/run.json",
    log:
        "logs/{dataset}/{pretrain}/seed{seed}/features/{split}.gather.log",
    benchmark:
        "benchmarks/{dataset}/{pretrain}/seed{seed}/features/{split}.gather.tsv"
    priority: 1
    conda:
        "../envs/simclr.yaml"
    threads: 1
    resources:
        mem_mb=16000,
        runtime=60,
    params:
        code=lambda _: [code_hash("gather"), code_hash("predict")],  # a removed part remembers no code
        out=subpath(output[0], parent=True),
        data=subpath(input[0], parent=True),
        split=split_predicted,
        step=command("gather"),
        features=features_option,
    shell:
        "{params.step} --parts {input.parts:q} --data {params.data:q} --split {params.split}"
        " {params.features} --out {params.out:q} --log {log:q}"


rule tabulate_features:
    input:
        rows("{split}"),
        features="results/{dataset}/{pretrain}/seed{seed}/features/{split}/run.json",
    output:
        "results/{dataset}/{pretrain}/seed{seed}/features/{split}/rows.parquet",
    log:
        "logs/{dataset}/{pretrain}/seed{seed}/features/{split}.tabulate.log",
    benchmark:
        "benchmarks/{dataset}/{pretrain}/seed{seed}/features/{split}.tabulate.tsv"
    priority: 1
    conda:
        "../envs/simclr.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=30,
    params:
        code=lambda _: code_hash("tabulate"),
        data=subpath(input[0], parent=True),
        features=subpath(input.features, parent=True),
        out=subpath(output[0], parent=True),
        split=split_tabulated,
        step=command("tabulate"),
    shell:
        "{params.step} --features {params.features:q} --data {params.data:q} --split {params.split}"
        " --out {params.out:q} --log {log:q}"


use rule tabulate_features as take_unlabeled with:
    input:
        rows("train"),
        multiext(
            "results/{dataset}/{pretrain}/seed{seed}/features/train/",
            "backbone.npy",
            "projection_head.npy",
        ),
        features="results/{dataset}/{pretrain}/seed{seed}/features/train/run.json",
    output:
        multiext(
            "results/{dataset}/{pretrain}/seed{seed}/features/unlabeled/",
            "rows.parquet",
            "backbone.npy",
            "projection_head.npy",
            "run.json",
        ),
    log:
        "logs/{dataset}/{pretrain}/seed{seed}/features/unlabeled.tabulate.log",
    benchmark:
        "benchmarks/{dataset}/{pretrain}/seed{seed}/features/unlabeled.tabulate.tsv"


rule umap:
    input:
        "resources/{dataset}/dataset.json",
        "resources/{dataset}/images.json",
        images_drawn,
        features_drawn("projection_head.npy"),
        features_drawn("rows.parquet"),
        backbone=features_drawn("backbone.npy"),
    output:
        in_report(
            "results/{dataset}/{pretrain}/seed{seed}/umap/backbone.png",
            **umap_report("backbone", "picture"),
        ),
        in_report(
            "results/{dataset}/{pretrain}/seed{seed}/umap/projection_head.png",
            **umap_report("projection_head", "picture"),
        ),
        in_report(
            "results/{dataset}/{pretrain}/seed{seed}/umap/map.html",
            **umap_report("map", "interactive"),
        ),
        directory("results/{dataset}/{pretrain}/seed{seed}/umap/map_images"),
        umap_by_columns("png", "svg"),
        multiext("results/{dataset}/{pretrain}/seed{seed}/umap/backbone", ".svg", ".csv"),
        multiext(
            "results/{dataset}/{pretrain}/seed{seed}/umap/projection_head",
            ".svg",
            ".csv",
        ),
        "results/{dataset}/{pretrain}/seed{seed}/umap/points.parquet",
        "results/{dataset}/{pretrain}/seed{seed}/umap/quality.json",
    log:
        "logs/{dataset}/{pretrain}/seed{seed}/umap.log",
    benchmark:
        "benchmarks/{dataset}/{pretrain}/seed{seed}/umap.tsv"
    priority: 1
    conda:
        "../envs/simclr.yaml"
    threads: 1
    resources:
        mem_mb=16000,
        runtime=120,
    params:
        settings=lambda wildcards: asked_of_umap(wildcards).as_json(),
        code=lambda _: code_hash("umap"),
        data=subpath(input[0], parent=True),
        features=folders_drawn,
        out=subpath(output[0], parent=True),
        step=command("umap"),
    shell:
        "{params.step} --settings {params.settings:q} --features {params.features:q}"
        " --data {params.data:q} --out {params.out:q} --log {log:q}"


rule explore:
    input:
        "resources/{dataset}/dataset.json",
        images_explored,
        features_explored("rows.parquet", "backbone.npy"),
        records=features_explored("run.json"),
    output:
        multiext(
            "results/{dataset}/{pretrain}/seed{seed}/explore/",
            "explore.html",
            "explore.json",
            "duplicates.csv",
            "outliers.csv",
            "clusters.csv",
            "to_label.csv",
            "mistakes.csv",
        ),
    log:
        "logs/{dataset}/{pretrain}/seed{seed}/explore.log",
    benchmark:
        "benchmarks/{dataset}/{pretrain}/seed{seed}/explore.tsv"
    conda:
        "../envs/simclr.yaml"
    threads: 1
    resources:
        mem_mb=16000,
        runtime=120,
    params:
        settings=lambda wildcards: asked_of_explore(wildcards).as_json(),
        code=lambda _: code_hash("explore"),
        data=subpath(input[0], parent=True),
        features=lambda wildcards, input: Path(input.records[0]).parents[1],
        out=subpath(output[0], parent=True),
        step=command("explore"),
    shell:
        "{params.step} --settings {params.settings:q} --features {params.features:q} --seed {wildcards.seed}"
        " --data {params.data:q} --out {params.out:q} --log {log:q}"


rule galleries:
    input:
        arrays("train"),
        images_drawn,
        features_drawn("run.json"),
        features_drawn("rows.parquet"),
        backbone=features_drawn("backbone.npy"),
    output:
        in_report(
            "results/{dataset}/{pretrain}/seed{seed}/galleries/augmentation.png",
            **gallery_report("augmentation"),
        ),
        in_report(
            "results/{dataset}/{pretrain}/seed{seed}/galleries/neighbors.png",
            **gallery_report("neighbors"),
        ),
        "results/{dataset}/{pretrain}/seed{seed}/galleries/augmentation.svg",
        "results/{dataset}/{pretrain}/seed{seed}/galleries/neighbors.svg",
        "results/{dataset}/{pretrain}/seed{seed}/galleries/run.json",
    log:
        "logs/{dataset}/{pretrain}/seed{seed}/galleries.log",
    benchmark:
        "benchmarks/{dataset}/{pretrain}/seed{seed}/galleries.tsv"
    conda:
        "../envs/simclr.yaml"
    threads: 1
    resources:
        mem_mb=16000,
        runtime=60,
    params:
        settings=lambda wildcards: PLAN.gallery(wildcards.dataset, wildcards.pretrain).as_json(),
        code=lambda wildcards: [
            code_hash("galleries"),
            *augmentation_code(PLAN.pretrains[wildcards.pretrain].augmentation),
        ],
        data=subpath(input[0], parent=True),
        features=folders_drawn,
        out=subpath(output[0], parent=True),
        step=command("galleries"),
    shell:
        "{params.step} --settings {params.settings:q} --features {params.features:q} --seed {wildcards.seed}"
        " --data {params.data:q} --out {params.out:q} --log {log:q}"


rule predict_all:
    input:
        TABULATED,
        PREDICTIONS,


rule umap_all:
    input:
        collect("{run}/umap/quality.json", run=RUNS),


rule explore_all:
    input:
        collect("{run}/explore/explore.json", run=RUNS if CONFIG.explore.arrays else []),
