# in:  correlations of the lineage's edges, its spans, and its controls
# out: the fate of every feature, the table of edges with ceilings, strata, chains


rule flow:
    input:
        matches=lambda w: of_pairs(w, paths.MATCHES),
        matrices=lambda w: of_pairs(w, paths.MATRIX),
    output:
        features=paths.FLOW_FEATURES,
        edges=report(
            paths.FLOW_EDGES,
            caption="captions/edges.rst",
            category="Flow",
            labels={"SAE": "{sae}", "table": "edges"},
        ),
        strata=report(
            paths.FLOW_STRATA,
            caption="captions/strata.rst",
            category="Flow",
            labels={"SAE": "{sae}", "table": "strata"},
        ),
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
        cfg=lambda w: of(w).flow(w.sae).dumps(),
        code=code("flow"),
    shell:
        "python -m featflow flow --log {log:q} --cfg {params.cfg:q}"
        " --matches {input.matches} --matrices {input.matrices} --features {output.features}"
        " --edges {output.edges} --strata {output.strata} --chains {output.chains}"
