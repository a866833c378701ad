# in:  a model, token ids
# out: shards of activations, sparse autoencoders and their metrics


rule activations:
    input:
        **reads("activations"),
    output:
        paths.ACTIVATIONS,
    log:
        "logs/{study}/activations/{model}/{hook}/{shard}.log",
    benchmark:
        "logs/{study}/activations/{model}/{hook}/{shard}.tsv"
    priority: 30
    conda:
        ENVIRONMENT
    threads: share_of_cores(2)
    resources:
        gpu=1,
        mem_mb=32000,
        runtime=120,
    params:
        cfg=sliced("activations"),
        code=code("activations"),
        model=lambda w, input: folder(input.model),
    shell:
        "OMP_NUM_THREADS={threads} python -m featflow activations --log {log:q} --cfg {params.cfg:q}"
        " --model {params.model:q} --tokens {input.tokens:q} --output {output:q}"


rule sae:
    input:
        **reads("sae"),
    output:
        cfg=paths.SAE,
        weights=paths.SAE_WEIGHTS,
        training=paths.SAE_TRAINING,
    log:
        "logs/{study}/sae/{model}/{sae}.log",
    benchmark:
        "logs/{study}/sae/{model}/{sae}.tsv"
    priority: 20
    conda:
        ENVIRONMENT
    threads: share_of_cores(2)
    resources:
        gpu=1,
        mem_mb=32000,
        runtime=720,
    params:
        cfg=sliced("sae"),
        code=code("sae"),
        folder=lambda w, output: folder(output.cfg),
        model=lambda w, input: folder(input.model),
        data=lambda w: [
            word
            for flag, files in training_data(of(w), dict(w.items())).items()
            for word in (flag, *files)
        ],
    shell:
        "OMP_NUM_THREADS={threads} python -m featflow sae --log {log:q} --cfg {params.cfg:q}"
        " --model {params.model:q} --output {params.folder:q} {params.data:q}"


rule metrics:
    input:
        **reads("metrics"),
    output:
        report(
            paths.SAE_METRICS,
            caption="captions/sae.rst",
            category="Sparse autoencoders",
            labels={"model": "{model}", "SAE": "{sae}"},
        ),
    log:
        "logs/{study}/metrics/{model}/{sae}.log",
    benchmark:
        "logs/{study}/metrics/{model}/{sae}.tsv"
    conda:
        ENVIRONMENT
    threads: share_of_cores(2)
    resources:
        gpu=1,
        mem_mb=32000,
        runtime=60,
    params:
        cfg=sliced("metrics"),
        code=code("metrics"),
        model=lambda w, input: folder(input.model),
        sae=lambda w, input: folder(input.sae),
    shell:
        "OMP_NUM_THREADS={threads} python -m featflow metrics --log {log:q} --cfg {params.cfg:q}"
        " --model {params.model:q} --sae {params.sae:q} --tokens {input.tokens:q} --output {output:q}"
