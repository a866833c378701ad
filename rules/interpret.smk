# in:  dumps, the fates of features
# out: explanations of features with their scores, and what the features are about


from featflow.interpret.rules import digest as categories_digest


# Paid answers lie beside the output, in answers.jsonl: Snakemake knows nothing of that file, and so
# never deletes it. Where the endpoint needs a network, this runs where one is.
rule interpret:
    input:
        **reads("interpret"),
    output:
        paths.INTERPRET,
    log:
        "logs/{study}/interpret/{model}/{sae}.log",
    benchmark:
        "logs/{study}/interpret/{model}/{sae}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        cfg=sliced("interpret"),
        code=code("interpret"),
        categories=categories_digest(),
        flow=lambda w, input: flags({"--flow": input.flow}),
    shell:
        "python -m featflow interpret --log {log:q} --cfg {params.cfg:q} --dumps {input.dumps:q}"
        " --tokens {input.tokens:q} --tokenizer {input.tokenizer:q} --output {output:q} {params.flow:q}"


rule categories:
    input:
        **reads("categories"),
    output:
        paths.CATEGORIES,
    log:
        "logs/{study}/categories/{sae}.log",
    benchmark:
        "logs/{study}/categories/{sae}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=4000,
    params:
        cfg=sliced("categories"),
        code=code("categories"),
        flow=lambda w, input: flags({"--flow": input.flow, "--chains": input.chains}),
    shell:
        "python -m featflow categories --log {log:q} --cfg {params.cfg:q} --scores {input.scores:q}"
        " --output {output:q} {params.flow:q}"
