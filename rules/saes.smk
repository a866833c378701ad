# in:  a model, token ids
# out: shards of activations, sparse autoencoders


rule activations:
    input:
        model=paths.MODEL,
        tokens=lambda w: tokens_of(
            w, of(w).lineage.activation_corpora(w.model), "train"
        ),
    output:
        paths.ACTIVATIONS,
    log:
        "logs/{study}/activations/{model}/{hook}/{shard}.log",
    benchmark:
        "logs/{study}/activations/{model}/{hook}/{shard}.tsv"
    conda:
        ENVIRONMENT
    threads: share_of_cores(2)
    resources:
        gpu=1,
        mem_mb=32000,
        runtime=120,
    params:
        cfg=lambda w: of(w).activations(w.model, w.hook, int(w.shard)).dumps(),
        code=code("activations"),
        model=lambda w, input: folder(input.model),
    shell:
        "OMP_NUM_THREADS={threads} python -m featflow activations --log {log:q} --cfg {params.cfg:q}"
        " --model {params.model} --tokens {input.tokens} --output {output}"


rule sae:
    input:
        model=paths.MODEL,
        data=lambda w: [path for files in sae_data(w).values() for path in files],
        validation=lambda w: tokens_of(
            w, of(w).lineage.activation_corpora(w.model), "validation"
        ),
    output:
        cfg=paths.SAE,
        weights=paths.SAE_WEIGHTS,
        training=paths.SAE_TRAINING,
        metrics=report(
            paths.SAE_METRICS,
            caption="captions/sae.rst",
            category="Sparse autoencoders",
            labels={"model": "{model}", "SAE": "{sae}"},
        ),
    log:
        "logs/{study}/sae/{model}/{sae}.log",
    benchmark:
        "logs/{study}/sae/{model}/{sae}.tsv"
    conda:
        ENVIRONMENT
    threads: share_of_cores(2)
    resources:
        gpu=1,
        mem_mb=32000,
        runtime=720,
    params:
        cfg=lambda w: of(w).sae(w.model, w.sae).dumps(),
        code=code("sae"),
        folder=lambda w, output: folder(output.cfg),
        model=lambda w, input: folder(input.model),
        data=lambda w: [
            word for flag, files in sae_data(w).items() for word in (flag, *files)
        ],
    shell:
        "OMP_NUM_THREADS={threads} python -m featflow sae --log {log:q} --cfg {params.cfg:q}"
        " --model {params.model} --validation {input.validation} --output {params.folder}"
        " {params.data}"
