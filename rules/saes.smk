# in:  a model, token ids
# out: shards of activations, sparse autoencoders


rule activations:
    input:
        model=paths.MODEL,
        tokens=lambda w: tokens_of(w, of(w).lineage.activation_corpora(w.model), "train"),
    output:
        paths.ACTIVATIONS,
    params:
        cfg=lambda w: of(w).activations(w.model, w.hook, int(w.shard)).dumps(),
        code=code("activations"),
        model=lambda w, input: folder(input.model),
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
    shell:
        "OMP_NUM_THREADS={threads} python -m featflow activations --log {log:q} --cfg {params.cfg:q}"
        " --model {params.model} --tokens {input.tokens} --output {output}"


def sae_data(wildcards):
    """What an SAE is trained on, by flag: shards, or tokens where no shards are kept."""
    slices = of(wildcards)
    if not slices.study.activations.keep:
        corpora = slices.lineage.activation_corpora(wildcards.model)
        return {"--tokens": tokens_of(wildcards, corpora, "train")}
    hook = slices.study.saes[wildcards.sae].hook
    at = {"study": wildcards.study, "model": wildcards.model, "hook": hook}
    return {"--shards": [paths.ACTIVATIONS.at(**at, shard=i) for i in slices.shards(wildcards.sae)]}


rule sae:
    input:
        model=paths.MODEL,
        data=lambda w: [path for files in sae_data(w).values() for path in files],
        validation=lambda w: tokens_of(w, of(w).lineage.activation_corpora(w.model), "validation"),
    output:
        cfg=paths.SAE,
        weights=paths.SAE_WEIGHTS,
        training=paths.SAE_TRAINING,
        metrics=paths.SAE_METRICS,
    params:
        cfg=lambda w: of(w).sae(w.model, w.sae).dumps(),
        code=code("sae"),
        folder=lambda w, output: folder(output.cfg),
        model=lambda w, input: folder(input.model),
        data=lambda w: [word for flag, files in sae_data(w).items() for word in (flag, *files)],
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
    shell:
        "OMP_NUM_THREADS={threads} python -m featflow sae --log {log:q} --cfg {params.cfg:q}"
        " --model {params.model} --validation {input.validation} --output {params.folder}"
        " {params.data}"
