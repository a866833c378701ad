# in:  tables, as each figure declares them
# out: figures that open without a network


def figure_inputs(wildcards):
    """The files that a figure says it draws."""
    study = of(wildcards).study
    figure = study.drawn[wildcards.figure]
    return figure_module(study, wildcards.figure).inputs(wildcards.study, study, figure)


rule figure:
    input:
        figure_inputs,
    output:
        paths.FIGURE.replace("{format}", "html"),
    params:
        cfg=lambda w: of(w).figure(w.figure).dumps(),
        code=lambda w: code("figure", figure_module(of(w).study, w.figure).__name__),
    log:
        "logs/{study}/figure/{figure}.log",
    benchmark:
        "logs/{study}/figure/{figure}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=4000,
    shell:
        "python -m featflow figure --log {log:q} --cfg {params.cfg:q}"
        " --inputs {input} --output {output}"
