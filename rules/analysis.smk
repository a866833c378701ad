# in:  correlations of the lineage's edges and spans
# out: the fate of every feature, counts by edge, chains


rule flow:
    input:
        matches=lambda w: inputs.of_pairs(w, paths.MATCHES),
        matrices=lambda w: inputs.of_pairs(w, paths.MATRIX),
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
        cfg=lambda w: of(w).flow(w.sae).dumps(),
        code=code("flow"),
    shell:
        "python -m featflow flow --log {log:q} --cfg {params.cfg:q}"
        " --matches {input.matches:q} --matrices {input.matrices:q} --features {output.features:q}"
        " --counts {output.counts:q} --chains {output.chains:q}"


# in:  dumps, what marks the feature, its fates, its reseeds
# out: the feature in every model, with the passages that figures show
rule case:
    input:
        dumps=lambda w: inputs.case_dumps(w),
        tokens=lambda w: inputs.tokens(w, of(w).case(w.case).corpora, "validation"),
        tokenizer=paths.TOKENIZER,
        flow=lambda w: inputs.case_flow(w),
        shares=lambda w: inputs.case_shares(w),
        reseeds=lambda w: inputs.case_reseeds(w),
        neighbours=lambda w: inputs.case_neighbours(w),
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
        cfg=lambda w: of(w).case(w.case).dumps(),
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
