# in:  tables, metrics and figures of a whole study
# out: one page that shows them


from featflow.report.inputs import page_digest


rule report:
    input:
        report_inputs,
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
        cfg=lambda w: of(w).report(PLAN.workflow.studies.get("paper")).dumps(),
        code=f"{code('report')}-{page_digest()}",
    shell:
        "python -m featflow report --log {log:q} --cfg {params.cfg:q}"
        " --inputs {input} --output {output}"
