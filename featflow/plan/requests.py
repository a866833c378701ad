"""What a profile, or the command line, asks for by the names of rules: checked, not guessed.

A stage may have several rules (`features_demo` for each study, `corpus_hub` for what is fetched):
what is asked for the stage goes to them all. Snakemake takes any rule and any resource in
`set-resources` and `set-threads`, and a misspelt one asks for nothing.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from featflow.config.errors import ConfigError, did_you_mean
from featflow.plan.programs import featflow, snakemake
from featflow.plan.stages import STAGES

RESOURCES = (
    "clusters",
    "constraint",
    "cpus_per_gpu",
    "cpus_per_task",
    "disk",
    "disk_mb",
    "gpu",
    "gpu_model",
    "gres",
    "mem",
    "mem_mb",
    "mem_mb_per_cpu",
    "nodes",
    "qos",
    "runtime",
    "slurm_account",
    "slurm_extra",
    "slurm_partition",
    "tasks",
    "tasks_per_gpu",
    "tmpdir",
)
"""Those that Snakemake and its SLURM plugin read."""


def spread(asked: Mapping[str, Any], studies: Iterable[str]) -> dict[str, Any]:
    """What is asked for `features` goes to the rule of each study (features_demo, …)."""
    rules = dict(asked)
    if "features" in rules:
        for_all = rules.pop("features")
        rules = {**{f"features_{study}": for_all for study in studies}, **rules}
    return rules


def rules_of(words: Iterable[str], rules: Collection[str]) -> set[str]:
    """What `--forcerun`, `--until` and `--omit-from` name: for a stage all of its rules.

    Args:
        words: rules, stages and files.
        rules: the rules that there are.
    """
    found = {word: [rule for rule in rules if rule.split("_")[0] == word] for word in words}
    return {name for word, of_stage in found.items() for name in of_stage or [word]}


def check_targets(targets: Iterable[str], rules: Collection[str]) -> None:
    """Check the targets of a run.

    Args:
        targets: what is asked for.
        rules: the rules that there are.

    Raises:
        ConfigError: for the name of a stage, which is no target: its jobs have names of their own.
    """
    for word in targets:
        stage = word.split("_")[0] if word in rules else word
        if stage in STAGES:
            raise ConfigError(
                f"{word}: a stage, and no target; `{featflow('menu', '--stage', stage)}` lists the "
                f"targets that it makes; `{snakemake('--until', stage)}` runs all of its jobs, and "
                "what they need"
            )


def check(resources: Mapping[str, Any], threads: Iterable[str], rules: Iterable[str]) -> None:
    """Check what is asked for.

    Args:
        resources: by rule, the resources by name.
        threads: the rules for which threads are given.
        rules: those that there are.

    Raises:
        ConfigError: naming a rule or a resource that there is not.
    """
    known = ["features", *rules]
    for key, names in (("set-resources", resources), ("set-threads", threads)):
        for name in names:
            if name not in known:
                raise ConfigError(f"{key}: no rule named {name!r}; {did_you_mean(name, known)}")
    for rule, asked in resources.items():
        for name in asked:
            if name not in RESOURCES:
                raise ConfigError(
                    f"set-resources: {rule}: no resource named {name!r}; "
                    f"{did_you_mean(name, RESOURCES)}"
                )
