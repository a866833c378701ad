# The only helpers of the rules: the plan of this run, paths, leaves, constraints.

import gc
import hashlib
import importlib
import os
import sys

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

# A plan is many objects that all stay: to look for garbage among them takes a sixth of a dry run.
gc.set_threshold(100_000)

sys.path.insert(0, str(workflow.basedir))

from featflow.core import paths, requests, runs, torchrun
from featflow.core.config import FeatflowError
from featflow.core.hints import MissingRule
from featflow.core.paths import folder
from featflow.core.plan import code, plan, use_this_checkout
from featflow.data.corpora import files
from featflow.data.sources import expand, keyed
from featflow.figures.chromium import drawable
from featflow.report.inputs import inputs as inputs_of_report

ENVIRONMENT = "../envs/featflow.yaml"
NAME = "[a-z][a-z0-9]*"

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


def studies_with(kind):
    """Constrain {study} to those where {model} is of this kind."""
    return studies_where(
        "models", lambda study: [n for n, m in study.models.items() if m.kind == kind]
    )


def on_the_hub(name):
    """Whether a name is the hub's: no file or folder of this machine."""
    return not os.path.exists(os.path.expanduser(os.path.expandvars(name)))


def hub_corpora(study):
    """The corpora of a study that come from the hub."""
    found = {n: s for n, s in study.corpora.items() if s.kind == "hub"}
    return [name for name, source in found.items() if on_the_hub(source.dataset)]


def hub_tokenizer(study):
    """The file of a study's tokenizer, if that comes from the hub."""
    tokenizer = study.tokenizer
    pretrained = tokenizer.kind == "pretrained" and on_the_hub(tokenizer.name)
    return ["tokenizer.json"] if pretrained else []


def hub_models(study):
    """The models of a study that come from the hub."""
    found = {n: m for n, m in study.models.items() if m.kind == "pretrained"}
    return [name for name, model in found.items() if on_the_hub(model.name)]


@explained
def of(wildcards):
    """The slices of the wildcards' study, the names in the target checked."""
    slices = PLAN.of(wildcards.study)
    slices.check(dict(wildcards.items()))
    return slices


def documents_among(files):
    """The document files among a tokenizer's inputs: none where it is pretrained."""
    return [file for file in files if file.endswith(".parquet")]


def tokens_of(wildcards, corpora, split):
    """The token files of some corpora."""
    return [
        paths.TOKENS.at(study=wildcards.study, corpus=c, split=split) for c in corpora
    ]


def models_of(wildcards, models):
    """The handles of some models."""
    return [paths.MODEL.at(study=wildcards.study, model=m) for m in models]


def folders(handles):
    """The folders of some handles, for a command line."""
    return [folder(handle) for handle in handles]


def files_below(name):
    """The files of a local file or folder; none for a name on the hub."""
    name = os.path.expanduser(os.path.expandvars(name))
    if os.path.isfile(name):
        return [name]
    return sorted(
        os.path.join(top, file) for top, _, found in os.walk(name) for file in found
    )


def state(names):
    """A digest of some files' names, sizes and times: none for no file."""
    digest = hashlib.sha256()
    for name in names:
        stat = os.stat(name)
        digest.update(
            f"{os.path.basename(name)} {stat.st_size} {stat.st_mtime_ns}\n".encode()
        )
    return digest.hexdigest()[:16] if names else None


def share_of_cores(parts):
    """Threads of a rule of which `parts` run side by side on one machine; at most 16. On a cluster,
    where no number of cores is given, the profile sets the threads."""
    cores = workflow.resource_settings.cores or 8
    return max(1, min(16, cores // parts))


def figure_module(study, figure):
    """The module that draws a study's figure."""
    return importlib.import_module(f"featflow.figures.{study.drawn[figure].kind}")


def source_state(wildcards):
    """What stands for the files of this machine that a corpus reads, so that a new, changed or
    deleted one rebuilds it. (As inputs, thousands of them would fill every message.)"""
    source = of(wildcards).study.corpora[wildcards.corpus]
    where = f"studies.{wildcards.study}.corpora.{wildcards.corpus}"
    found = []
    if source.kind == "files":
        found = explained(keyed(where)(files.paths))(source)
    elif source.kind == "hub":
        found = files_below(explained(keyed(where)(expand))(source.dataset, "dataset"))
    return state(found)


def tokenizer_sources(wildcards):
    """The documents that a tokenizer is trained on, or its files where it lies on this machine."""
    slices = of(wildcards)
    tokenizer = slices.study.tokenizer
    if tokenizer.kind == "pretrained":
        return files_below(tokenizer.name)
    names = slices.tokenizer_corpora()
    return [
        paths.CORPUS.at(study=wildcards.study, corpus=c, split="train") for c in names
    ]


def sweep_corpora(wildcards):
    """The corpora of a merge's parents, each once."""
    corpora = of(wildcards).sweep(wildcards.model).corpora
    return list(dict.fromkeys(corpus for own in corpora for corpus in own))


def choice_of_t(wildcards):
    """What a merge needs to choose its t, by flag: the sweep, and for `balanced` the ancestor."""
    slices = of(wildcards)
    t = getattr(slices.study.models[wildcards.model].method, "t", None)
    flags = {}
    if isinstance(t, str):
        flags["--sweep"] = paths.SWEEP.at(study=wildcards.study, model=wildcards.model)
    if t == "balanced":
        ancestor = slices.lineage.common_ancestor(wildcards.model)
        flags["--ancestor"] = paths.EVALUATE.at(study=wildcards.study, model=ancestor)
    return flags


def base_of_merge(wildcards):
    """The handle of the model that a merge's task vectors are measured from, if any."""
    base = of(wildcards).merge_base(wildcards.model)
    return models_of(wildcards, [base] if base else [])


def folder_of_pretrained(wildcards):
    """The handle of the pretrained model that a random one is like; none where that is trained."""
    models = of(wildcards).study.models
    like = models[wildcards.model].like
    return models_of(wildcards, [like] if models[like].kind == "pretrained" else [])


def model_files(wildcards):
    """The files of a pretrained model where it is a folder of this machine."""
    return files_below(of(wildcards).study.models[wildcards.model].name)


def sae_data(wildcards):
    """What an SAE is trained on, by flag: shards, or tokens where no shards are kept."""
    slices = of(wildcards)
    if slices.makes_its_own(wildcards.sae):
        corpora = slices.lineage.activation_corpora(wildcards.model, wildcards.sae)
        return {"--tokens": tokens_of(wildcards, corpora, "train")}
    hook = slices.study.saes[wildcards.sae].hook
    at = {"study": wildcards.study, "model": wildcards.model, "hook": hook}
    return {
        "--shards": [
            paths.ACTIVATIONS.at(**at, shard=i) for i in slices.shards(wildcards.sae)
        ]
    }


def dumps_of(wildcards, dictionary):
    """The dumps of one side of a pair, in the order of its slice's corpora."""
    model, sae = dictionary.split(".")
    corpora = of(wildcards).correlation(wildcards.a, wildcards.b).corpora
    at = {"study": wildcards.study, "model": model, "sae": sae}
    return [paths.FEATURES.at(**at, corpus=c) for c in corpora]


def sae_of(wildcards, dictionary):
    """The handle of a dictionary's SAE."""
    model, sae = dictionary.split(".")
    return paths.SAE.at(study=wildcards.study, model=model, sae=sae)


def of_pairs(wildcards, template):
    """A file of each pair of this SAE, in the order of its slice's pairs."""
    pairs = of(wildcards).flow(wildcards.sae).pairs
    return [template.at(study=wildcards.study, a=pair.a, b=pair.b) for pair in pairs]


def of_compared(wildcards, template):
    """A file of each pair of models that controls compare, in the order of their slices."""
    at = {"study": wildcards.study, "sae": wildcards.sae}
    pairs = of(wildcards).compared(wildcards.sae)
    return [template.at(**at, parent=p.parent, child=p.child) for p in pairs]


def of_transfers(wildcards, template):
    """A file of each pair of models of which the parent's SAE is applied to the child."""
    at = {"study": wildcards.study, "sae": wildcards.sae}
    pairs = of(wildcards).transferred(wildcards.sae)
    return [template.at(**at, parent=p.parent, child=p.child) for p in pairs]


def dumps_among(wildcards, models, saes, corpora):
    """The dumps of some dictionaries, each with all corpora, in this order."""
    return [
        paths.FEATURES.at(study=wildcards.study, model=m, sae=s, corpus=c)
        for m in models
        for s in saes
        for c in corpora
    ]


def seed_dumps(wildcards, side):
    """The dumps of one side of a pair of models, of all SAEs that are compared."""
    model, saes = seeds_of(wildcards, side)
    cfg = of(wildcards).shares(wildcards.sae, wildcards.parent, wildcards.child)
    return dumps_among(wildcards, [model], saes, cfg.corpora)


def seed_saes(wildcards, side):
    """The handles of these SAEs."""
    model, saes = seeds_of(wildcards, side)
    return [sae_of(wildcards, f"{model}.{sae}") for sae in saes]


def seeds_of(wildcards, side):
    """The model of one side of a pair of models, and its SAEs that are compared."""
    cfg = of(wildcards).shares(wildcards.sae, wildcards.parent, wildcards.child)
    return {"a": (cfg.parent, cfg.a), "b": (cfg.child, cfg.b)}[side]


def flags(values):
    """Command-line words for what there is: nothing for a flag without files."""
    return [word for flag, files in values.items() if files for word in (flag, *files)]


def _flow_table(wildcards, sae, template):
    """A table of an SAE's flow, in a list; none where it has no edges."""
    found = of(wildcards).lineage.flow_edges(sae)
    return [template.at(study=wildcards.study, sae=sae)] if found else []


def flow_features(wildcards):
    """The fates of the features of this SAE, if they have any."""
    return _flow_table(wildcards, wildcards.sae, paths.FLOW_FEATURES)


def flow_chains(wildcards):
    """The chains of this SAE, if there are any."""
    return _flow_table(wildcards, wildcards.sae, paths.FLOW_CHAINS)


def case_flow(wildcards):
    """The fates of the features among which a case is."""
    sae = of(wildcards).case(wildcards.case).sae
    return _flow_table(wildcards, sae, paths.FLOW_FEATURES)


def case_dumps(wildcards):
    """The dumps of every model in which a case is followed."""
    cfg = of(wildcards).case(wildcards.case)
    return dumps_among(wildcards, cfg.models, [cfg.sae], cfg.corpora)


def case_shares(wildcards):
    """The comparison of a case's model with its own reseeds, if it has any."""
    cfg = of(wildcards).case(wildcards.case)
    pair = {"parent": cfg.model, "child": cfg.model}
    return (
        [paths.SHARES.at(study=wildcards.study, sae=cfg.sae, **pair)]
        if cfg.reseeds
        else []
    )


def dashboard_dumps(wildcards):
    """The dumps of every model whose features stand side by side."""
    cfg = of(wildcards).dashboards(wildcards.model, wildcards.sae)
    return dumps_among(wildcards, cfg.models, [cfg.sae], cfg.corpora)


def dashboard_scores(wildcards):
    """The explanations of a dictionary's features, if there are any."""
    if not of(wildcards).dashboards(wildcards.model, wildcards.sae).interpreted:
        return []
    at = {"model": wildcards.model, "sae": wildcards.sae}
    return [paths.INTERPRET.at(study=wildcards.study, **at)]


def figure_inputs(wildcards):
    """The files that a figure says it draws."""
    study = of(wildcards).study
    figure = study.drawn[wildcards.figure]
    return figure_module(study, wildcards.figure).inputs(wildcards.study, study, figure)


def report_inputs(wildcards):
    """All that the report shows."""
    return inputs_of_report(of(wildcards))


@explained
def check_requests():
    """A misspelt rule or resource in the profile or on the command line asks for nothing."""
    settings = workflow.resource_settings
    rules = [rule.name for rule in workflow.rules]
    requests.check(settings.overwrite_resources, settings.overwrite_threads, rules)


@explained
def leaves(name):
    """Everything that a study makes and no other stage reads, and what people look at."""
    slices = PLAN.of(name)
    study, lineage = slices.study, slices.lineage
    formats = drawable(study.figures.formats, warn=workflow.is_main_process)
    at = {"study": name}
    return [
        paths.REPORT.at(**at),
        *(
            paths.FIGURE.at(**at, figure=f, format=x)
            for f in study.drawn
            for x in formats
        ),
        *(paths.EVALUATE.at(**at, model=m) for m in study.models),
        *(paths.SWEEP.at(**at, model=m) for m in study.swept),
        *(
            paths.SAE_METRICS.at(**at, model=m, sae=s)
            for m, s in lineage.dictionaries()
        ),
        *(paths.SUMMARY.at(**at, model=m, sae=s) for m, s in lineage.dictionaries()),
        *(paths.MATCHES.at(**at, a=str(p.a), b=str(p.b)) for p in lineage.pairs()),
        *(
            template.at(**at, sae=s)
            for s in study.flow_saes
            if lineage.flow_edges(s)
            for template in (paths.FLOW_EDGES, paths.FLOW_CONTROLS, paths.FLOW_DOMAINS)
        ),
        *(paths.CASE.at(**at, case=c) for c in study.cases),
        *(paths.CATEGORIES.at(**at, sae=s) for s in [slices.interpreted()[0]] if s),
        *(paths.EXPLORER.at(**at) for _ in [study.explorer] if slices.explored()),
    ]


@explained
def from_the_hub(name):
    """Everything of a study that needs a network."""
    study = PLAN.of(name).study
    at = {"study": name}
    return [
        *(
            paths.CORPUS.at(**at, corpus=c, split=s)
            for c in hub_corpora(study)
            for s in paths.SPLITS
        ),
        *(paths.TOKENIZER.at(**at) for _ in hub_tokenizer(study)),
        *(paths.MODEL.at(**at, model=m) for m in hub_models(study)),
    ]


@explained
def words_on_fetching(name):
    """What `fetch` is about, in a line."""
    study = PLAN.of(name).study
    found = [f"corpus {corpus}" for corpus in hub_corpora(study)]
    found += ["the tokenizer" for _ in hub_tokenizer(study)]
    found += [f"model {model}" for model in hub_models(study)]
    if not found:
        return f"Study {name} needs no network: there is nothing to fetch."
    return f"Study {name}: from the hub come {', '.join(found)}."
