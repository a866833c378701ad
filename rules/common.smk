# The only helpers of the rules: the plan of this run, paths, leaves, constraints.

import hashlib
import importlib
import os
import sys

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(workflow.basedir))

from featflow.core import paths
from featflow.core.config import FeatflowError
from featflow.core.paths import folder
from featflow.core.plan import code, plan

ENVIRONMENT = "../envs/featflow.yaml"
NAME = "[a-z][a-z0-9]*"

# Rules call `python -m featflow`: of the interpreter that runs Snakemake, whether its environment is
# activated or not, and of this checkout. (conda puts its own interpreter before this one.)
os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(workflow.basedir), *filter(None, [os.environ.get("PYTHONPATH")])]
)


def explained(function):
    """featflow's errors as Snakemake's own: a message instead of a traceback."""

    def call(*arguments, **named):
        try:
            return function(*arguments, **named)
        except FeatflowError as error:
            raise WorkflowError(str(error)) from None

    return call


PLAN = explained(plan)(config)


wildcard_constraints:
    study="|".join(PLAN.studies),
    corpus=NAME,
    model=NAME,
    sae=NAME,
    figure=NAME,
    split="|".join(paths.SPLITS),
    hook=r"[A-Za-z0-9_.]+",
    shard=r"\d+",
    a=NAME + r"\." + NAME,
    b=NAME + r"\." + NAME,


def studies_with(kind):
    """Constrain {study} to those where {model} is of this kind: train, finetune and merge write the
    same pattern, and a name may be of one kind here and of another there."""
    found = []
    for study, slices in PLAN.studies.items():
        names = [n for n, model in slices.study.models.items() if model.kind == kind]
        if names:
            found.append(f"{study}(?=/models/(?:{'|'.join(names)})/)")
    return "|".join(found) or "(?!)"


@explained
def of(wildcards):
    """The slices of the wildcards' study."""
    return PLAN.of(wildcards.study)


def tokens_of(wildcards, corpora, split):
    """The token files of some corpora."""
    return [paths.TOKENS.at(study=wildcards.study, corpus=c, split=split) for c in corpora]


def models_of(wildcards, models):
    """The handles of some models."""
    return [paths.MODEL.at(study=wildcards.study, model=m) for m in models]


def folders(handles):
    """The folders of some handles, for a command line."""
    return [folder(handle) for handle in handles]


def files_below(name):
    """The files of a local file or folder; none for a name on the hub."""
    if os.path.isfile(name):
        return [name]
    return sorted(os.path.join(top, file) for top, _, found in os.walk(name) for file in found)


def state(names):
    """A digest of some files' names, sizes and times: none for no file."""
    digest = hashlib.sha256()
    for name in names:
        stat = os.stat(name)
        digest.update(f"{os.path.basename(name)} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16] if names else None


def share_of_cores(parts):
    """Threads of a rule of which `parts` run side by side on one machine; at most 16."""
    return max(1, min(16, (workflow.cores or 16) // parts))


def figure_module(study, figure):
    """The module that draws a study's figure."""
    return importlib.import_module(f"featflow.figures.{study.drawn[figure].kind}")


@explained
def leaves(name):
    """Everything that a study makes and no other stage reads, and what people look at."""
    slices = PLAN.of(name)
    study, lineage = slices.study, slices.lineage
    at = {"study": name}
    return [
        *(paths.FIGURE.at(**at, figure=f, format=x) for f in study.drawn for x in study.figures.formats),
        *(paths.EVALUATE.at(**at, model=m) for m in study.models),
        *(paths.SWEEP.at(**at, model=m) for m in study.swept),
        *(paths.SAE_METRICS.at(**at, model=m, sae=s) for m, s in lineage.dictionaries()),
        *(paths.SUMMARY.at(**at, model=m, sae=s) for m, s in lineage.dictionaries()),
        *(paths.MATCHES.at(**at, a=str(p.a), b=str(p.b)) for p in lineage.pairs()),
        *(paths.FLOW_EDGES.at(**at, sae=s) for s in study.flow_saes if lineage.edges()),
    ]
