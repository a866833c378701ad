# The only helpers of the rules: the plan of this run, inputs, constraints.

import gc
import os
import sys

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

# A plan is many objects that all stay: to look for garbage among them takes a sixth of a dry run.
gc.set_threshold(100_000)

sys.path.insert(0, str(workflow.basedir))

from featflow.plan import paths, programs, requests
from featflow.runtime import runs, torchrun
from featflow.config import FeatflowError
from featflow.plan.hints import MissingRule
from featflow.plan.paths import folder, folders
from featflow.plan.snapshot import code, plan, use_this_checkout
from featflow.plan.stages import STAGES, leaves
from featflow.plan.stages.models import choice_of_t
from featflow.plan.stages.report import dumps
from featflow.plan.stages.saes import training_data
from featflow.data.corpora import kind_of
from featflow.data.places import (
    MODEL_FILES,
    TOKENIZER_FILES,
    from_the_hub,
    hub_corpora,
    hub_tokenizer,
    keyed,
    local_files,
    state,
    words_on_fetching,
)
from featflow.figures.chromium import drawable

ENVIRONMENT = "../envs/featflow.yaml"
NAME = "[a-z][a-z0-9]*"

programs.remember(workflow.overwrite_configfiles)
use_this_checkout(workflow.basedir)

# A signal that ends a job must reach the stage, which saves its state: no shell stays in between.
shell.prefix("set -euo pipefail; exec env ")


def explained(function):
    """featflow's errors as Snakemake's own: a message instead of a traceback."""

    def call(*arguments, **named):
        try:
            return function(*arguments, **named)
        except FeatflowError as error:
            raise WorkflowError(str(error)) from None

    return call


PLAN = explained(plan)(config)

if workflow.is_main_process:
    explained(runs.begin)()
else:
    explained(runs.check)()

for name in ("overwrite_resources", "overwrite_threads"):
    asked = getattr(workflow.resource_settings, name)
    setattr(workflow.resource_settings, name, requests.spread(asked, PLAN.studies))

if several := explained(torchrun.request)(
    workflow.resource_settings.overwrite_resources
):
    os.environ[torchrun.VARIABLE] = several

logger.addFilter(MissingRule(PLAN.studies))


wildcard_constraints:
    study="|".join(PLAN.studies),
    corpus=NAME,
    model=NAME,
    sae=NAME,
    figure=NAME,
    format="|".join(paths.FORMATS),
    split="|".join(paths.SPLITS),
    hook=r"[A-Za-z0-9_.]+",
    shard=r"\d+",
    a=rf"{NAME}\.{NAME}",
    b=rf"{NAME}\.{NAME}",
    parent=NAME,
    child=NAME,
    case=NAME,


def studies_where(folder, names):
    """Constrain {study} to those where the name below this folder is one of `names(study)`: rules
    that write the same pattern share it so, and a name may be of one kind here, another there.
    """
    found = []
    for study, slices in PLAN.studies.items():
        if own := names(slices.study):
            found.append(f"{study}(?=/{folder}/(?:{'|'.join(own)})(?:/|$))")
    return "|".join(found) or "(?!)"


def studies_with(stage):
    """Constrain {study} to those where {model} is made by this stage."""
    kind = STAGES[stage].kind
    return studies_where(
        "models", lambda study: [n for n, m in study.models.items() if m.kind == kind]
    )


@explained
def of(wildcards):
    """The slices of the wildcards' study, the names in the target checked."""
    slices = PLAN.of(wildcards.study)
    slices.check(dict(wildcards.items()))
    return slices


def reads(stage):
    """The inputs of a stage's rule."""

    def of_job(at):
        return lambda wildcards: at(of(wildcards), dict(wildcards.items()))

    inputs = STAGES[stage].inputs
    return {
        name: at if isinstance(at, str) else of_job(at) for name, at in inputs.items()
    }


def sliced(stage):
    """The slice of a stage's job, as JSON."""
    return lambda wildcards: STAGES[stage].sliced(of(wildcards), wildcards).dumps()


def flags(values):
    """Command-line words for what there is: nothing for a flag without files."""
    return [word for flag, files in values.items() if files for word in (flag, *files)]


def share_of_cores(parts):
    """Threads of a rule of which `parts` run side by side on one machine; at most 16. On a cluster,
    where no number of cores is given, the profile sets the threads."""
    cores = workflow.resource_settings.cores or 8
    return max(1, min(16, cores // parts))


def source_state(wildcards):
    """What stands for the files of this machine that a corpus reads, so that a new, changed or
    deleted one rebuilds it. (As inputs, thousands of them would fill every message.)"""
    source = of(wildcards).study.corpora[wildcards.corpus]
    where = f"studies.{wildcards.study}.corpora.{wildcards.corpus}"
    return state(explained(keyed(where)(kind_of(source).local_files))(source))


def state_of(where, name, wanted):
    """The state of a folder or file of this machine, by the files that are wanted of it."""
    return state(explained(keyed(where)(local_files))(name, wanted, "name"))


def tokenizer_state(wildcards):
    """The same of a tokenizer that exists."""
    tokenizer = of(wildcards).study.tokenizer
    if tokenizer.kind != "pretrained":
        return None
    where = f"studies.{wildcards.study}.tokenizer"
    return state_of(where, tokenizer.name, TOKENIZER_FILES)


def model_state(wildcards):
    """The same of a model that exists."""
    name = of(wildcards).study.models[wildcards.model].name
    where = f"studies.{wildcards.study}.models.{wildcards.model}"
    return state_of(where, name, MODEL_FILES)


@explained
def check_requests():
    """A misspelt rule or resource in the profile or on the command line asks for nothing."""
    settings = workflow.resource_settings
    rules = [rule.name for rule in workflow.rules]
    requests.check(settings.overwrite_resources, settings.overwrite_threads, rules)


# What the command line says of rules is there only once the Snakefile is read.
prepare_dag = workflow._prepare_dag


def prepare_dag_of_stages(*arguments, **named):
    """`--forcerun features` means the rules of that stage, whichever there are."""
    asked, rules = workflow.dag_settings, [rule.name for rule in workflow.rules]
    explained(requests.check_targets)(asked.targets, rules)
    for name in ("forcerun", "until", "omit_from"):
        setattr(asked, name, requests.rules_of(getattr(asked, name), rules))
    return prepare_dag(*arguments, **named)


workflow._prepare_dag = prepare_dag_of_stages


@explained
def default_study():
    """The config's study: its name, and its slices."""
    name = PLAN.workflow.study
    return name, PLAN.of(name)


def everything():
    """The targets of the config's study; of images, those that can be drawn here."""
    name, slices = default_study()
    formats = slices.study.figures.formats
    return leaves(slices, drawable(formats, warn=workflow.is_main_process))
