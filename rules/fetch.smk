# in:  the config's study
# out: what of it comes from the hub, made where there is a network, before anything else:
#
#   snakemake --profile local fetch                        on a login node
#   snakemake --profile slurm                              then the rest, without a network


rule fetch:
    input:
        from_the_hub(*default_study()),
    localrule: True
    message:
        words_on_fetching(*default_study())
