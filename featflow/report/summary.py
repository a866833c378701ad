"""What the study is and what came out, in a few sentences computed from its tables."""

from collections import Counter
from pathlib import Path

from featflow.artifacts.io import load_json
from featflow.figures.files import matching
from featflow.plan import paths
from featflow.plan.stages.report import ReportSlice
from featflow.report.models import KINDS, parameters
from featflow.report.saes import dictionaries, sizes
from featflow.report.study import tokens

MOST = 3
"""Names of a list that a sentence bears."""


def summary(cfg: ReportSlice, files: list[Path]) -> str:
    """One paragraph: models, data, SAEs."""
    return " ".join(s for s in (_models(cfg, files), _data(cfg, files), _saes(cfg, files)) if s)


def _models(cfg: ReportSlice, files: list[Path]) -> str:
    kinds = Counter(KINDS.get(node.kind, node.kind) for node in cfg.models.values())
    order = ("base", "pretrained", "fine-tune", "merge")
    parts = [f"{kinds[kind]} {kind}" + _s(kinds[kind], kind) for kind in order if kinds[kind]]
    parts += [f"{kinds['random']} with random weights"] if kinds["random"] else []
    found = sorted({parameters(f) for f in matching(files, paths.WEIGHTS, "model").values()})
    each = " each" if len(cfg.models) > 1 and len(found) == 1 else ""
    size = " to ".join(f"{n:,}" for n in dict.fromkeys((found[0], found[-1])))
    models = f"{len(cfg.models)} language model{_s(len(cfg.models))}"
    return f"{models} of {size} parameters{each}: {_listed(parts)}."


def _data(cfg: ReportSlice, files: list[Path]) -> str:
    ids = matching(files, paths.TOKENS, "corpus", split="train")
    total = sum(tokens(file) for file in ids.values())
    vocabulary = {
        load_json(f)["vocab_size"] for f in matching(files, paths.MODEL, "model").values()
    }
    words = " to ".join(f"{n:,}" for n in sorted(vocabulary))
    names = sorted(cfg.corpora) if len(cfg.corpora) <= MOST + 1 else []
    listed = f" ({_listed(names)})" if names else ""
    return (
        f"{len(cfg.corpora)} corp{'us' if len(cfg.corpora) == 1 else 'ora'}{listed} with "
        f"{total:,} training tokens in all, vocabulary {words}."
    )


def _saes(cfg: ReportSlice, files: list[Path]) -> str:
    found = dictionaries(cfg, files)
    if not found:
        return "No sparse autoencoder."
    features = " to ".join(f"{n:,}" for n in sizes(cfg, files))
    hooks = sorted({sae.hook for sae in cfg.saes.values()})
    seeds = sum(sae in cfg.controls for _, sae in found)
    control = f", {seeds} of them a second seed of another" if seeds else ""
    several = len(found) > 1
    return (
        f"{len(found)} sparse autoencoder{'s' if several else ''} of {features} features"
        f"{' each' if several else ''} on {_listed(hooks)}{control}."
    )


def _s(count: int, word: str = "") -> str:
    """The plural's ending; `pretrained` has none."""
    return "s" if count != 1 and word != "pretrained" else ""


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
