# in:  token ids, the tokenizer, parent models
# out: model folders (train, finetune, merge), a merge's sweep over t, the evaluation of every model


rule train:
    input:
        **reads("train"),
    output:
        config=paths.MODEL,
        weights=paths.WEIGHTS,
        training=paths.TRAINING,
    log:
        "logs/{study}/train/{model}.log",
    benchmark:
        "logs/{study}/train/{model}.tsv"
    wildcard_constraints:
        study=studies_with("train"),
    priority: 40
    conda:
        ENVIRONMENT
    threads: share_of_cores(2)
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=720,
    params:
        cfg=sliced("train"),
        code=code("train"),
        folder=lambda w, output: folder(output.config),
    shell:
        "OMP_NUM_THREADS={threads} python -m featflow train --log {log:q} --cfg {params.cfg:q}"
        " --tokens {input.tokens:q} --tokenizer {input.tokenizer:q} --output {params.folder:q}"


# The model's files come from the hub: on a login node, not on compute nodes without a network.
rule pretrained:
    input:
        **reads("pretrained"),
    output:
        config=paths.MODEL,
        weights=paths.WEIGHTS,
    log:
        "logs/{study}/pretrained/{model}.log",
    benchmark:
        "logs/{study}/pretrained/{model}.tsv"
    wildcard_constraints:
        study=studies_with("pretrained"),
    localrule: True
    conda:
        ENVIRONMENT
    resources:
        mem_mb=16000,
    params:
        cfg=sliced("pretrained"),
        code=code("pretrained"),
        source=model_state,
        folder=lambda w, output: folder(output.config),
    shell:
        "python -m featflow pretrained --log {log:q} --cfg {params.cfg:q}"
        " --tokenizer {input.tokenizer:q} --output {params.folder:q}"


rule random:
    input:
        **reads("random"),
    output:
        config=paths.MODEL,
        weights=paths.WEIGHTS,
    log:
        "logs/{study}/random/{model}.log",
    benchmark:
        "logs/{study}/random/{model}.tsv"
    wildcard_constraints:
        study=studies_with("random"),
    conda:
        ENVIRONMENT
    resources:
        mem_mb=16000,
    params:
        cfg=sliced("random"),
        code=code("random"),
        folder=lambda w, output: folder(output.config),
        like=lambda w, input: flags({"--like": folders(input.like)}),
    shell:
        "python -m featflow random --log {log:q} --cfg {params.cfg:q}"
        " --tokenizer {input.tokenizer:q} --output {params.folder:q} {params.like:q}"


rule finetune:
    input:
        **reads("finetune"),
    output:
        config=paths.MODEL,
        weights=paths.WEIGHTS,
        training=paths.TRAINING,
    log:
        "logs/{study}/finetune/{model}.log",
    benchmark:
        "logs/{study}/finetune/{model}.tsv"
    wildcard_constraints:
        study=studies_with("finetune"),
    priority: 40
    conda:
        ENVIRONMENT
    threads: share_of_cores(2)
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=720,
    params:
        cfg=sliced("finetune"),
        code=code("finetune"),
        folder=lambda w, output: folder(output.config),
        parent=lambda w, input: folders(input.parent),
    shell:
        "OMP_NUM_THREADS={threads} python -m featflow finetune --log {log:q} --cfg {params.cfg:q}"
        " --parent {params.parent:q} --tokens {input.tokens:q} --output {params.folder:q}"


rule sweep:
    input:
        **reads("sweep"),
    output:
        paths.SWEEP,
    log:
        "logs/{study}/sweep/{model}.log",
    benchmark:
        "logs/{study}/sweep/{model}.tsv"
    priority: 40
    conda:
        ENVIRONMENT
    threads: share_of_cores(2)
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=240,
    params:
        cfg=sliced("sweep"),
        code=code("sweep"),
        parents=lambda w, input: folders(input.parents),
    shell:
        "OMP_NUM_THREADS={threads} python -m featflow sweep --log {log:q} --cfg {params.cfg:q}"
        " --parents {params.parents:q} --tokens {input.tokens:q} --output {output:q}"


rule merge:
    input:
        **reads("merge"),
    output:
        config=paths.MODEL,
        weights=paths.WEIGHTS,
        merge=paths.MERGE,
    log:
        "logs/{study}/merge/{model}.log",
    benchmark:
        "logs/{study}/merge/{model}.tsv"
    wildcard_constraints:
        study=studies_with("merge"),
    priority: 40
    conda:
        ENVIRONMENT
    resources:
        mem_mb=16000,
    params:
        cfg=sliced("merge"),
        code=code("merge"),
        folder=lambda w, output: folder(output.config),
        parents=lambda w, input: folders(input.parents),
        choice=lambda w: [
            word
            for pair in choice_of_t(of(w), dict(w.items())).items()
            for word in pair
        ],
        base=lambda w, input: flags({"--base": folders(input.base)}),
    shell:
        "python -m featflow merge --log {log:q} --cfg {params.cfg:q}"
        " --parents {params.parents:q} --output {params.folder:q} {params.choice:q} {params.base:q}"


rule evaluate:
    input:
        **reads("evaluate"),
    output:
        report(
            paths.EVALUATE,
            caption="captions/evaluate.rst",
            category="Models",
            labels={"model": "{model}"},
        ),
    log:
        "logs/{study}/evaluate/{model}.log",
    benchmark:
        "logs/{study}/evaluate/{model}.tsv"
    conda:
        ENVIRONMENT
    threads: share_of_cores(2)
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=60,
    params:
        cfg=sliced("evaluate"),
        code=code("evaluate"),
        model=lambda w, input: folder(input.model),
    shell:
        "OMP_NUM_THREADS={threads} python -m featflow evaluate --log {log:q} --cfg {params.cfg:q}"
        " --model {params.model:q} --tokens {input.tokens:q} --output {output:q}"
