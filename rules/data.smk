# in:  files of this machine, the hub, or featflow's grammars
# out: documents (corpus), the tokenizer, token ids (tokens)

from featflow.data.corpora import files
from featflow.data.sources import keyed


def source_state(wildcards):
    """What stands for the files of this machine that a corpus reads, so that a new, changed or
    deleted one rebuilds it. (As inputs, thousands of them would fill every message.)"""
    source = of(wildcards).study.corpora[wildcards.corpus]
    found = []
    if source.kind == "files":
        where = f"studies.{wildcards.study}.corpora.{wildcards.corpus}"
        found = explained(keyed(where)(files.paths))(source)
    elif source.kind == "hub":
        found = files_below(source.dataset)
    return state(found)


def tokenizer_sources(wildcards):
    """The documents that a tokenizer is trained on, or its files where it lies on this machine."""
    slices = of(wildcards)
    tokenizer = slices.study.tokenizer
    if tokenizer.kind == "pretrained":
        return files_below(tokenizer.name)
    names = slices.tokenizer_corpora()
    return [paths.CORPUS.at(study=wildcards.study, corpus=c, split="train") for c in names]


rule corpus:
    output:
        train=paths.CORPUS.replace("{split}", "train"),
        validation=paths.CORPUS.replace("{split}", "validation"),
        selection=paths.CORPUS.replace("{split}", "selection"),
    params:
        cfg=lambda w: of(w).corpus(w.corpus).dumps(),
        code=code("corpus"),
        source=source_state,
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
        tokenizer_sources,
    output:
        paths.TOKENIZER,
    params:
        cfg=lambda w: of(w).tokenizer().dumps(),
        code=code("tokenizer"),
        corpora=lambda w, input: [path for path in input if path.endswith("/train.parquet")],
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
        " --corpora {params.corpora} --output {output}"


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
