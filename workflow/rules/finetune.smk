rule finetune:
    input:
        arrays_judged("{dataset}/{start}/finetune/{finetune}"),  # test, if it judges, is read once, when the training has ended
        encoder=encoder_to_finetune,
        weights=lambda wildcards: file_of(finetuned(wildcards).published),
    output:
        "results/{dataset}/{start}/finetune/{finetune}/model.safetensors",
        "results/{dataset}/{start}/finetune/{finetune}/metrics.json",
        "results/{dataset}/{start}/finetune/{finetune}/history.csv",
        "results/{dataset}/{start}/finetune/{finetune}/correct.npz",
        directory("results/{dataset}/{start}/finetune/{finetune}/tensorboard"),
    log:
        "logs/{dataset}/{start}/finetune/{finetune}.log",
    benchmark:
        "benchmarks/{dataset}/{start}/finetune/{finetune}.tsv"
    conda:
        "../envs/simclr.yaml"
    threads: THREADS
    resources:
        gpu=GPUS,
        mem_mb=16000,
        runtime=480,
    params:
        settings=lambda wildcards: finetuned(wildcards).as_json(),
        code=lambda wildcards: [code_hash("finetune"), *code_of_finetune(wildcards)],
        encoder=lambda wildcards, input: ["--encoder", *input.encoder] if input.encoder else [],
        weights=lambda wildcards, input: ["--weights", *input.weights] if input.weights else [],
        seed=lambda wildcards: wildcards.start.rpartition("seed")[2],
        judged_by=judged_by("{dataset}/{start}/finetune/{finetune}"),
        data=subpath(input[0], parent=True),
        out=subpath(output[0], parent=True),
        work=work_folder("{dataset}/{start}/finetune/{finetune}"),
        step=command("finetune"),
        gpus=gpus,
        time_budget=time_budget,
        options=options("save_minutes"),
    shell:
        "{params.step} --settings {params.settings:q} {params.encoder:q} {params.weights:q}"
        " --data {params.data:q} --seed {params.seed} --judged-by {params.judged_by}"
        " --out {params.out:q} --work {params.work:q}"
        " {params.gpus} {params.time_budget} {params.options} --log {log:q}"


use rule predict_features as predict_classifier with:
    input:
        images("{split}"),
        model="results/{dataset}/{start}/finetune/{finetune}/model.safetensors",
    output:
        temp(directory("results/{dataset}/{start}/finetune/{finetune}/{split}.parts")),
    log:
        "logs/{dataset}/{start}/finetune/{finetune}.{split}.predict.log",
    benchmark:
        "benchmarks/{dataset}/{start}/finetune/{finetune}.{split}.predict.tsv"
    priority: 0


use rule gather_features as gather_predictions with:
    input:
        rows("test"),
        "resources/{dataset}/images.json",
        rows("train"),
        parts="results/{dataset}/{start}/finetune/{finetune}/test.parts",
        features_beside=features_beside,
    output:
        "results/{dataset}/{start}/finetune/{finetune}/predictions.parquet",
        "results/{dataset}/{start}/finetune/{finetune}/predictions.json",
        "results/{dataset}/{start}/finetune/{finetune}/mistakes.csv",
    log:
        "logs/{dataset}/{start}/finetune/{finetune}.gather.log",
    benchmark:
        "benchmarks/{dataset}/{start}/finetune/{finetune}.gather.tsv"
    priority: 0
    resources:
        mem_mb=8000,
        runtime=30,


use rule gather_predictions as gather_further_predictions with:
    input:
        rows_of_array,
        "resources/{dataset}/images.json",
        rows("train"),
        parts=parts_of_array,
        features_beside=features_beside,
    output:
        "results/{dataset}/{start}/finetune/{finetune}/{split}.predictions.parquet",
        "results/{dataset}/{start}/finetune/{finetune}/{split}.predictions.json",
        "results/{dataset}/{start}/finetune/{finetune}/{split}.mistakes.csv",
    log:
        "logs/{dataset}/{start}/finetune/{finetune}.{split}.gather.log",
    benchmark:
        "benchmarks/{dataset}/{start}/finetune/{finetune}.{split}.gather.tsv"
    wildcard_constraints:
        split="train|validation|unlabeled",


rule finetune_all:
    input:
        collect("{classifier}/metrics.json", classifier=CLASSIFIERS),
