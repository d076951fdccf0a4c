rule finetune:
    input:
        arrays_and_rows("train", "validation", "test"),  # test is read once, when the training has ended
        encoder="results/{dataset}/{pretrain}/seed{seed}/encoder/encoder.safetensors",
    output:
        "results/{dataset}/{pretrain}/seed{seed}/finetune/{finetune}/model.safetensors",
        "results/{dataset}/{pretrain}/seed{seed}/finetune/{finetune}/metrics.json",
        "results/{dataset}/{pretrain}/seed{seed}/finetune/{finetune}/history.csv",
        "results/{dataset}/{pretrain}/seed{seed}/finetune/{finetune}/correct.npz",
    log:
        "logs/{dataset}/{pretrain}/seed{seed}/finetune/{finetune}.log",
    benchmark:
        "benchmarks/{dataset}/{pretrain}/seed{seed}/finetune/{finetune}.tsv"
    conda:
        "../envs/simclr.yaml"
    threads: THREADS
    resources:
        gpu=GPUS,
        mem_mb=16000,
        runtime=480,
    params:
        settings=lambda wildcards: CONFIG.finetunes[wildcards.finetune].as_json(),
        code=lambda wildcards: [
            code_hash("finetune"),
            *augmentation_code(CONFIG.finetunes[wildcards.finetune].augmentation),
        ],
        data=subpath(input[0], parent=True),
        out=subpath(output[0], parent=True),
        work=work_folder("finetune/{finetune}"),
        step=command("finetune"),
        gpus=gpus,
        time_budget=time_budget,
        options=options("save_minutes"),
    shell:
        "{params.step} --settings {params.settings:q} --encoder {input.encoder:q}"
        " --data {params.data:q} --seed {wildcards.seed} --out {params.out:q} --work {params.work:q}"
        " {params.gpus} {params.time_budget} {params.options} --log {log:q}"


use rule predict_features as predict_classifier with:
    input:
        images("test"),
        model="results/{dataset}/{pretrain}/seed{seed}/finetune/{finetune}/model.safetensors",
    output:
        temp(directory("results/{dataset}/{pretrain}/seed{seed}/finetune/{finetune}/parts")),
    log:
        "logs/{dataset}/{pretrain}/seed{seed}/finetune/{finetune}.predict.log",
    benchmark:
        "benchmarks/{dataset}/{pretrain}/seed{seed}/finetune/{finetune}.predict.tsv"
    priority: 0


use rule gather_features as gather_predictions with:
    input:
        rows("test"),
        "resources/{dataset}/images.json",
        parts=rules.predict_classifier.output,
    output:
        "results/{dataset}/{pretrain}/seed{seed}/finetune/{finetune}/predictions.parquet",
        "results/{dataset}/{pretrain}/seed{seed}/finetune/{finetune}/predictions.json",
    log:
        "logs/{dataset}/{pretrain}/seed{seed}/finetune/{finetune}.gather.log",
    benchmark:
        "benchmarks/{dataset}/{pretrain}/seed{seed}/finetune/{finetune}.gather.tsv"
    priority: 0
    resources:
        mem_mb=8000,
        runtime=30,


rule finetune_all:
    input:
        collect("{classifier}/metrics.json", classifier=CLASSIFIERS),
