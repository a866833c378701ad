# in:  dumps, models, SAEs and correlations of the lineage and of its controls
# out: the fate of every feature; what every share stands beside; features followed through the lineage


rule shares:
    input:
        **reads("shares"),
    output:
        best=paths.SHARES,
        bootstrap=paths.BOOTSTRAP,
    log:
        "logs/{study}/shares/{sae}/{parent}-{child}.log",
    benchmark:
        "logs/{study}/shares/{sae}/{parent}-{child}.tsv"
    conda:
        ENVIRONMENT
    threads: share_of_cores(2)
    resources:
        mem_mb=16000,
        runtime=240,
    params:
        cfg=sliced("shares"),
        code=code("shares"),
        saes_a=lambda w, input: folders(input.saes_a),
        saes_b=lambda w, input: folders(input.saes_b),
    shell:
        "NUMBA_NUM_THREADS={threads} OMP_NUM_THREADS={threads} python -m featflow shares"
        " --log {log:q} --cfg {params.cfg:q} --a {input.a:q} --b {input.b:q}"
        " --saes-a {params.saes_a:q} --saes-b {params.saes_b:q}"
        " --tokens {input.tokens:q} --best {output.best:q} --bootstrap {output.bootstrap:q}"


rule transfer:
    input:
        **reads("transfer"),
    output:
        frozen=paths.FROZEN,
        scaling=paths.SCALING,
    log:
        "logs/{study}/transfer/{sae}/{parent}-{child}.log",
    benchmark:
        "logs/{study}/transfer/{sae}/{parent}-{child}.tsv"
    conda:
        ENVIRONMENT
    threads: share_of_cores(2)
    resources:
        gpu=1,
        mem_mb=32000,
        runtime=120,
    params:
        cfg=sliced("transfer"),
        code=code("transfer"),
        parent=lambda w, input: folders(input.parent),
        child=lambda w, input: folders(input.child),
        parent_sae=lambda w, input: folder(input.parent_sae),
        child_sae=lambda w, input: folder(input.child_sae),
    shell:
        "OMP_NUM_THREADS={threads} python -m featflow transfer --log {log:q}"
        " --cfg {params.cfg:q} --parent {params.parent:q} --child {params.child:q}"
        " --parent-sae {params.parent_sae:q} --child-sae {params.child_sae:q}"
        " --tokens {input.tokens:q} --frozen {output.frozen:q} --scaling {output.scaling:q}"


rule flow:
    input:
        **reads("flow"),
    output:
        features=paths.FLOW_FEATURES,
        counts=paths.FLOW_COUNTS,
        chains=paths.FLOW_CHAINS,
    log:
        "logs/{study}/flow/{sae}.log",
    benchmark:
        "logs/{study}/flow/{sae}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=8000,
    params:
        cfg=sliced("flow"),
        code=code("flow"),
    shell:
        "python -m featflow flow --log {log:q} --cfg {params.cfg:q}"
        " --matches {input.matches:q} --matrices {input.matrices:q} --features {output.features:q}"
        " --counts {output.counts:q} --chains {output.chains:q}"


rule controls:
    input:
        **reads("controls"),
    output:
        controls=paths.FLOW_CONTROLS,
        domains=paths.FLOW_DOMAINS,
    log:
        "logs/{study}/controls/{sae}.log",
    benchmark:
        "logs/{study}/controls/{sae}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=8000,
    params:
        cfg=sliced("controls"),
        code=code("controls"),
        frozen=lambda w, input: flags({"--frozen": input.frozen}),
    shell:
        "python -m featflow controls --log {log:q} --cfg {params.cfg:q} --shares {input.shares:q}"
        " --bootstraps {input.bootstraps:q} --output {output.controls:q} --domains {output.domains:q}"
        " {params.frozen:q}"


rule edges:
    input:
        **reads("edges"),
    output:
        edges=report(
            paths.FLOW_EDGES,
            caption="captions/edges.rst",
            category="Flow",
            labels={"SAE": "{sae}", "table": "edges"},
        ),
        typed=paths.FLOW_SHARES,
        strata=report(
            paths.FLOW_STRATA,
            caption="captions/strata.rst",
            category="Flow",
            labels={"SAE": "{sae}", "table": "strata"},
        ),
    log:
        "logs/{study}/edges/{sae}.log",
    benchmark:
        "logs/{study}/edges/{sae}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=4000,
    params:
        cfg=sliced("edges"),
        code=code("edges"),
        scaling=lambda w, input: flags({"--scaling": input.scaling}),
    shell:
        "python -m featflow edges --log {log:q} --cfg {params.cfg:q} --counts {input.counts:q}"
        " --features {input.features:q} --controls {input.controls:q} --summaries {input.summaries:q}"
        " --metrics {input.metrics:q} --edges {output.edges:q} --typed {output.typed:q}"
        " --strata {output.strata:q} {params.scaling:q}"


rule case:
    input:
        **reads("case"),
    output:
        report(
            paths.CASE,
            caption="captions/case.rst",
            category="Cases",
            labels={"case": "{case}"},
        ),
    log:
        "logs/{study}/case/{case}.log",
    benchmark:
        "logs/{study}/case/{case}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=8000,
    params:
        cfg=sliced("case"),
        code=code("case"),
        optional=lambda w, input: flags(
            {
                "--flow": input.flow,
                "--shares": input.shares,
                "--reseeds": input.reseeds,
                "--neighbours": input.neighbours,
            }
        ),
    shell:
        "python -m featflow case --log {log:q} --cfg {params.cfg:q} --dumps {input.dumps:q}"
        " --tokens {input.tokens:q} --tokenizer {input.tokenizer:q} --output {output:q} {params.optional:q}"
