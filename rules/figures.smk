# in:  tables, as each figure declares them
# out: figures that open without a network, and as svg, png, pdf where the study asks for them


rule figure:
    input:
        figure_inputs,
    output:
        paths.FIGURE,
    log:
        "logs/{study}/figure/{figure}.{format}.log",
    benchmark:
        "logs/{study}/figure/{figure}.{format}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=4000,
    params:
        cfg=lambda w: of(w).figure(w.figure).dumps(),
        code=lambda w: code("figure", figure_module(of(w).study, w.figure).__name__),
    shell:
        "python -m featflow figure --log {log:q} --cfg {params.cfg:q}"
        " --inputs {input} --output {output}"
