# in:  tables, as each figure declares them
# out: figures that open without a network, and as svg, png, pdf where the study asks for them


rule figure:
    input:
        **reads("figure"),
    output:
        report(
            paths.FIGURE,
            caption="captions/figure.rst",
            category="Figures",
            labels={"figure": "{figure}", "format": "{format}"},
        ),
    log:
        "logs/{study}/figure/{figure}.{format}.log",
    benchmark:
        "logs/{study}/figure/{figure}.{format}.tsv"
    wildcard_constraints:
        format="|".join(x for x in paths.FORMATS if x != "json"),
    conda:
        ENVIRONMENT
    resources:
        mem_mb=4000,
    params:
        cfg=sliced("figure"),
        code=lambda w: code(
            "figure", f"featflow.figures.{of(w).study.drawn[w.figure].kind}"
        ),
    shell:
        "python -m featflow figure --log {log:q} --cfg {params.cfg:q}"
        " --inputs {input:q} --output {output:q}"


# The same as JSON, which the study's page shows: nothing for `snakemake --report`.
use rule figure as figure_json with:
    output:
        paths.FIGURE,
    wildcard_constraints:
        format="json",
