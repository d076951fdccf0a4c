rule evaluate:
    input:
        arrays("train", "validation", "test"),
        encoder="results/{dataset}/{pretrain}/seed{seed}/encoder/encoder.safetensors",
    output:
        "results/{dataset}/{pretrain}/seed{seed}/evaluate/knn.json",
        "results/{dataset}/{pretrain}/seed{seed}/evaluate/linear.json",
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
        code=code_hash("evaluate"),
        data=subpath(input[0], parent=True),
        out=subpath(output[0], parent=True),
        step=command("evaluate"),
        gpus=gpus,
    shell:
        "{params.step} --settings {params.settings:q} --encoder {input.encoder:q}"
        " --data {params.data:q} --seed {wildcards.seed} --out {params.out:q}"
        " {params.gpus} --log {log:q}"


rule evaluate_all:
    input:
        collect("{run}/evaluate/{kind}.json", run=RUNS, kind=["knn", "linear"]),
