# in:  files of this machine, the hub, or featflow's grammars
# out: documents (corpus), the tokenizer, token ids (tokens)


rule corpus:
    output:
        train=paths.CORPUS.replace("{split}", "train"),
        validation=paths.CORPUS.replace("{split}", "validation"),
        selection=paths.CORPUS.replace("{split}", "selection"),
    log:
        "logs/{study}/corpus/{corpus}.log",
    benchmark:
        "logs/{study}/corpus/{corpus}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=4000,
    params:
        cfg=sliced("corpus"),
        code=code("corpus"),
        source=source_state,
    shell:
        "python -m featflow corpus --log {log:q} --cfg {params.cfg:q}"
        " --train {output.train:q} --validation {output.validation:q} --selection {output.selection:q}"


# What comes from the hub is made on the machine where Snakemake runs: a login node has a network,
# a compute node often has none.
use rule corpus as corpus_hub with:
    wildcard_constraints:
        study=studies_where("corpus", hub_corpora),
    localrule: True


ruleorder: corpus_hub > corpus


rule tokenizer:
    input:
        **reads("tokenizer"),
    output:
        paths.TOKENIZER,
    log:
        "logs/{study}/tokenizer/tokenizer.log",
    benchmark:
        "logs/{study}/tokenizer/tokenizer.tsv"
    conda:
        ENVIRONMENT
    threads: share_of_cores(1)
    resources:
        mem_mb=8000,
    params:
        cfg=sliced("tokenizer"),
        code=code("tokenizer"),
        source=tokenizer_state,
    shell:
        "RAYON_NUM_THREADS={threads} python -m featflow tokenizer --log {log:q} --cfg {params.cfg:q}"
        " --corpora {input:q} --output {output:q}"


use rule tokenizer as tokenizer_hub with:
    wildcard_constraints:
        study=studies_where("tokenizer", hub_tokenizer),
    localrule: True


ruleorder: tokenizer_hub > tokenizer


rule tokens:
    input:
        **reads("tokens"),
    output:
        paths.TOKENS,
    log:
        "logs/{study}/tokens/{corpus}/{split}.log",
    benchmark:
        "logs/{study}/tokens/{corpus}/{split}.tsv"
    conda:
        ENVIRONMENT
    threads: share_of_cores(2)
    resources:
        mem_mb=8000,
    params:
        cfg=sliced("tokens"),
        code=code("tokens"),
    shell:
        "RAYON_NUM_THREADS={threads} python -m featflow tokens --log {log:q} --cfg {params.cfg:q}"
        " --documents {input.documents:q} --tokenizer {input.tokenizer:q} --output {output:q}"
