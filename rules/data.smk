# in:  files of this machine, the hub, or featflow's grammars
# out: documents (corpus), the tokenizer, token ids (tokens)


def source_files(wildcards):
    """The files that a `files` corpus reads, so that a new or changed one rebuilds it."""
    source = of(wildcards).study.corpora[wildcards.corpus]
    if source.kind != "files":
        return []
    from featflow.data.corpora import files

    return [str(path) for path in explained(files.paths)(source)]


rule corpus:
    input:
        source_files,
    output:
        train=paths.CORPUS.replace("{split}", "train"),
        validation=paths.CORPUS.replace("{split}", "validation"),
        selection=paths.CORPUS.replace("{split}", "selection"),
    params:
        cfg=lambda w: of(w).corpus(w.corpus).dumps(),
        code=code("corpus"),
    log:
        "logs/{study}/corpus/{corpus}.log",
    benchmark:
        "logs/{study}/corpus/{corpus}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=4000,
    shell:
        "python -m featflow corpus --log {log:q} --cfg {params.cfg:q}"
        " --train {output.train} --validation {output.validation} --selection {output.selection}"


rule tokenizer:
    input:
        lambda w: [
            paths.CORPUS.at(study=w.study, corpus=c, split="train") for c in of(w).tokenizer_corpora()
        ],
    output:
        paths.TOKENIZER,
    params:
        cfg=lambda w: of(w).tokenizer().dumps(),
        code=code("tokenizer"),
    log:
        "logs/{study}/tokenizer/tokenizer.log",
    benchmark:
        "logs/{study}/tokenizer/tokenizer.tsv"
    conda:
        ENVIRONMENT
    threads: share_of_cores(1)
    resources:
        mem_mb=8000,
    shell:
        "RAYON_NUM_THREADS={threads} python -m featflow tokenizer --log {log:q} --cfg {params.cfg:q}"
        " --corpora {input} --output {output}"


rule tokens:
    input:
        documents=paths.CORPUS,
        tokenizer=paths.TOKENIZER,
    output:
        paths.TOKENS,
    params:
        cfg=lambda w: of(w).tokens(w.corpus, w.split).dumps(),
        code=code("tokens"),
    log:
        "logs/{study}/tokens/{corpus}/{split}.log",
    benchmark:
        "logs/{study}/tokens/{corpus}/{split}.tsv"
    conda:
        ENVIRONMENT
    threads: share_of_cores(2)
    resources:
        mem_mb=8000,
    shell:
        "RAYON_NUM_THREADS={threads} python -m featflow tokens --log {log:q} --cfg {params.cfg:q}"
        " --documents {input.documents} --tokenizer {input.tokenizer} --output {output}"
