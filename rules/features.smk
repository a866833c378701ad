# in:  models, SAEs, the probe's token ids
# out: sparse feature activations with a summary, and Pearson's r between two dictionaries

# One job handles all probe corpora of a dictionary. Which corpora differs from study to study, and
# an output cannot be a function: hence a rule for each study.
for study, slices in PLAN.studies.items():

    rule:
        name:
            f"features_{study}"
        input:
            model=paths.MODEL.replace("{study}", study),
            sae=paths.SAE.replace("{study}", study),
            tokens=[
                paths.TOKENS.at(study=study, corpus=c, split="validation")
                for c in slices.study.probe_corpora
            ],
        output:
            dumps=[
                paths.FEATURES.replace("{study}", study).replace("{corpus}", c)
                for c in slices.study.probe_corpora
            ],
            summary=paths.SUMMARY.replace("{study}", study),
        log:
            f"logs/{study}/features/{{model}}/{{sae}}.log",
        benchmark:
            f"logs/{study}/features/{{model}}/{{sae}}.tsv"
        priority: 10
        conda:
            ENVIRONMENT
        threads: share_of_cores(2)
        resources:
            gpu=1,
            mem_mb=32000,
            runtime=120,
        params:
            cfg=lambda w, slices=slices: STAGES["features"].sliced(slices, w).dumps(),
            code=code("features"),
            model=lambda w, input: folder(input.model),
            sae=lambda w, input: folder(input.sae),
        shell:
            "OMP_NUM_THREADS={threads} NUMBA_NUM_THREADS={threads} python -m featflow features"
            " --log {log:q} --cfg {params.cfg:q}"
            " --model {params.model:q} --sae {params.sae:q} --tokens {input.tokens:q}"
            " --output {output.dumps:q} --summary {output.summary:q}"


rule correlation:
    input:
        **reads("correlation"),
    output:
        matrix=paths.MATRIX,
        matches=paths.MATCHES,
    log:
        "logs/{study}/correlation/{a}-{b}.log",
    benchmark:
        "logs/{study}/correlation/{a}-{b}.tsv"
    conda:
        ENVIRONMENT
    threads: share_of_cores(2)
    resources:
        mem_mb=16000,
        runtime=120,
    params:
        cfg=sliced("correlation"),
        code=code("correlation"),
        sae_a=lambda w, input: folder(input.sae_a),
        sae_b=lambda w, input: folder(input.sae_b),
    shell:
        "NUMBA_NUM_THREADS={threads} OMP_NUM_THREADS={threads} python -m featflow correlation"
        " --log {log:q} --cfg {params.cfg:q} --a {input.a:q} --b {input.b:q}"
        " --sae-a {params.sae_a:q} --sae-b {params.sae_b:q} --tokens {input.tokens:q}"
        " --matrix {output.matrix:q} --matches {output.matches:q}"
