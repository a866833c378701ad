"""The table of stages: verb, module, and what counts as a change of its code.

A stage with a revision costs GPU-days: it reruns when someone raises the number, because its
results would differ. A stage without one follows a fingerprint of its code (plan/fingerprint.py).
"""

from typing import NamedTuple


class Stage(NamedTuple):
    """A step of the workflow; the rule, the verb and the module carry one name."""

    module: str
    revision: int | None
    summary: str


STAGES = {
    "corpus": Stage("featflow.data.corpus", 2, "documents of a corpus, split and deduplicated"),
    "tokenizer": Stage("featflow.data.tokenizer", 2, "train or fetch the study's tokenizer"),
    "tokens": Stage("featflow.data.tokens", 1, "token ids of a corpus's split"),
    "train": Stage("featflow.models.train", 2, "train a base model"),
    "pretrained": Stage("featflow.models.pretrained", 1, "fetch a model that exists"),
    "random": Stage("featflow.models.random", 1, "a model with random weights, for a floor"),
    "finetune": Stage("featflow.models.finetune", 2, "train a model further on other data"),
    "sweep": Stage("featflow.models.sweep", 2, "a merge at every t, on its parents' data"),
    "merge": Stage("featflow.models.merge", 1, "merge models tensor by tensor"),
    "evaluate": Stage(
        "featflow.models.evaluate", 2, "loss and accuracy of a model on every corpus"
    ),
    "activations": Stage("featflow.saes.activations", 2, "a shard of an SAE's training data"),
    "sae": Stage("featflow.saes.sae", 2, "train a sparse autoencoder"),
    "metrics": Stage("featflow.saes.metrics", 2, "how good a sparse autoencoder is"),
    "features": Stage("featflow.features.features", 2, "sparse feature activations on the probe"),
    "correlation": Stage(
        "featflow.features.correlation", 2, "Pearson's r between two dictionaries"
    ),
    "shares": Stage("featflow.features.shares", 2, "best partners on every domain, for controls"),
    "transfer": Stage("featflow.features.transfer", 2, "a parent's SAE applied to its child"),
    "flow": Stage("featflow.analysis.flow", None, "which features persist, vanish and emerge"),
    "controls": Stage("featflow.analysis.controls", None, "ceilings, floors, arms and intervals"),
    "domains": Stage("featflow.analysis.domains", None, "the shares on each corpus alone"),
    "edges": Stage("featflow.analysis.edges", None, "every share beside its controls"),
    "case": Stage("featflow.analysis.case", None, "a feature followed through the lineage"),
    "interpret": Stage("featflow.interpret.interpret", 2, "explanations of features, and scores"),
    "categories": Stage(
        "featflow.interpret.categories", None, "what the explained features are about"
    ),
    "figure": Stage("featflow.figures.figure", None, "draw a figure"),
    "dashboards": Stage("featflow.report.dashboards", None, "the data of every feature's page"),
    "explorer": Stage("featflow.report.explorer", None, "the page that browses all features"),
    "report": Stage("featflow.report.report", None, "one page that shows the whole study"),
}
