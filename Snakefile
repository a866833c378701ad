# featflow: from corpora to the flow of features. The studies are in workflow_config.yaml.
#
#   snakemake --profile local                              the config's study, to its figures
#   snakemake --profile local --config study=desk          another study
#   snakemake --profile local results/demo/sae/lua/main/cfg.json      one target
#   snakemake --profile local fetch                        what needs a network, on a login node
#   snakemake --profile slurm                              on a cluster

from snakemake.utils import min_version

min_version("9.0")


configfile: "workflow_config.yaml"


include: "rules/common.smk"


# The default target: every leaf of the config's study.
rule all:
    default_target: True
    input:
        everything(),


include: "rules/fetch.smk"
include: "rules/data.smk"
include: "rules/models.smk"
include: "rules/saes.smk"
include: "rules/features.smk"
include: "rules/analysis.smk"
include: "rules/interpret.smk"
include: "rules/figures.smk"
include: "rules/report.smk"


check_requests()
