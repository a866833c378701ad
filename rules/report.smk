# in:  tables, metrics and figures of a whole study; dumps and SAEs
# out: one page that shows them, and one for every feature


from featflow.report.pages import page_digest, site_digest


rule report:
    input:
        **reads("report"),
    output:
        paths.REPORT,
    log:
        "logs/{study}/report/report.log",
    benchmark:
        "logs/{study}/report/report.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=4000,
    params:
        cfg=sliced("report"),
        code=f"{code('report')}-{page_digest()}",
    shell:
        "python -m featflow report --log {log:q} --cfg {params.cfg:q}"
        " --inputs {input:q} --output {output:q}"


# A page's data are many small files beside its handle, loaded when they are looked at.
rule dashboards:
    input:
        **reads("dashboards"),
    output:
        paths.DASHBOARDS,
    log:
        "logs/{study}/dashboards/{model}/{sae}.log",
    benchmark:
        "logs/{study}/dashboards/{model}/{sae}.tsv"
    conda:
        ENVIRONMENT
    threads: share_of_cores(2)
    resources:
        mem_mb=16000,
        runtime=120,
    params:
        cfg=sliced("dashboards"),
        code=code("dashboards"),
        model=lambda w, input: folder(input.model),
        sae=lambda w, input: folder(input.sae),
        folder=lambda w, output: folder(output[0]),
        dumps=lambda w: dumps(of(w), dict(w.items())),
        optional=lambda w, input: flags(
            {
                "--flow": input.flow,
                "--chains": input.chains,
                "--scores": input.scores,
                "--scaling": input.scaling,
            }
        ),
    shell:
        "NUMBA_NUM_THREADS={threads} OMP_NUM_THREADS={threads} python -m featflow dashboards"
        " --log {log:q} --cfg {params.cfg:q} --model {params.model:q} --sae {params.sae:q}"
        " --dumps {params.dumps:q} --tokens {input.tokens:q} --tokenizer {input.tokenizer:q}"
        " --summary {input.summary:q} --output {params.folder:q} {params.optional:q}"


rule explorer:
    input:
        **reads("explorer"),
    output:
        paths.EXPLORER,
    log:
        "logs/{study}/explorer/explorer.log",
    benchmark:
        "logs/{study}/explorer/explorer.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=4000,
    params:
        cfg=sliced("explorer"),
        code=f"{code('explorer')}-{site_digest()}",
        optional=lambda w, input: flags(
            {"--edges": input.edges, "--cases": input.cases}
        ),
    shell:
        "python -m featflow explorer --log {log:q} --cfg {params.cfg:q}"
        " --dashboards {input.dashboards:q} --tokenizer {input.tokenizer:q} --output {output:q}"
        " {params.optional:q}"
