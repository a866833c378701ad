"""What is wrong with a study as a whole: names, SAEs, the graph of models.

Each problem begins with the path of the key, as the user wrote it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from featflow.config.controlling import control_problems
from featflow.config.errors import unknown
from featflow.config.figures import Figures
from featflow.config.graph import ancestors, context_of, has, parents_of, root_of
from featflow.config.merging import TaskVectors
from featflow.config.models import (
    Architecture,
    Base,
    Finetune,
    Merge,
    Pretrained,
    Random,
)
from featflow.config.tokenizers import Bpe

if TYPE_CHECKING:
    from featflow.config.study import Study

DOMAINS = ("home", "intersection", "union", "shift")
"""What stands beside the corpora's names in the column `domain` of tables."""


def problems_of(study: "Study", wrong: Iterable[tuple[str, ...]] = ()) -> list[str]:
    """Everything that is wrong with the study as a whole.

    Args:
        study: the study.
        wrong: paths of what is not as the user wrote it, since that is wrong by itself
            (config/salvage.py): nothing is said of what depends on it.
    """
    names = [*_unknown_names(study)]
    apart = {*(path[:2] for path in wrong), *(tuple(_path(each)[:2]) for each in names)}
    cycles, in_cycles = _cycles(study)
    apart |= {("models", name) for name in in_cycles}
    problems = [*names, *cycles]
    families = {path[0] for path in apart}
    if "flow" not in families:
        problems += _flow_problems(study)
    rest = _without(study, apart)
    if rest.models:
        problems += [*control_problems(rest), *_graph_problems(rest)]
        if "activations" not in families:
            problems += _window_problems(rest)
    return problems


def _path(problem: str) -> list[str]:
    return problem.split(": ")[0].split(".")


def _without(study: "Study", apart: set[tuple[str, ...]]) -> "Study":
    """The study without some models and SAEs, and without what depends on them."""

    def left(entries: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
        kept = {name: each for name, each in entries.items() if name not in names}
        lost = {name for name, each in kept.items() if not _named_by(each) <= kept.keys()}
        return left(kept, lost) if lost else kept

    models = left(study.models, {path[1] for path in apart if path[0] == "models" and path[1:]})
    saes = left(study.saes, {path[1] for path in apart if path[0] == "saes" and path[1:]})
    if len(models) < len(study.models):
        on = {n: set(s.models or models) & models.keys() for n, s in saes.items()}
        by_data = {n for n, s in saes.items() if s.control_of and s.corpora}
        saes = left(saes, by_data | {name for name in saes if not on[name]})
        updates = {
            n: {"models": [m for m in s.models or [] if m in on[n]] or None}
            for n, s in saes.items()
        }
        saes = {name: sae.model_copy(update=updates[name]) for name, sae in saes.items()}
    if len(models) == len(study.models) and len(saes) == len(study.saes):
        return study
    return study.model_copy(update={"models": models, "saes": saes, "figures": Figures()})


def _named_by(entry: Any) -> set[str]:
    """The entries of its own family that a model or an SAE is made from, or compared with."""
    method = getattr(entry, "method", None)
    single = [
        *(getattr(entry, key, None) for key in ("parent", "like", "control_of")),
        getattr(method, "base", None),
    ]
    return {name for name in (*single, *getattr(entry, "parents", ())) if name is not None}


def _unknown_names(study: "Study") -> Iterator[str]:
    for name in study.corpora:
        if name in DOMAINS:
            what = "domain" if name == "shift" else "scope"
            yield f"corpora.{name}: a {what} is called that; choose another name"
    if isinstance(study.tokenizer, Bpe):
        for name in study.tokenizer.corpora:
            yield from unknown("tokenizer.corpora", name, study.corpora, "corpus")
    for key, model in study.models.items():
        named = getattr(model, "corpora", [])
        if len(set(named)) < len(named):
            yield f"models.{key}.corpora: a corpus is named twice"
        for name in named:
            yield from unknown(f"models.{key}.corpora", name, study.corpora, "corpus")
        if isinstance(model, Random):
            roots = [n for n, m in study.models.items() if isinstance(m, (Base, Pretrained))]
            yield from unknown(f"models.{key}.like", model.like, roots, "base or pretrained model")
        elif of := getattr(model, "control_of", None):
            yield from unknown(f"models.{key}.control_of", of, study.models, "model")
        base = getattr(getattr(model, "method", None), "base", None)
        if base is not None:
            yield from unknown(f"models.{key}.method.base", base, study.models, "model")
        for name in parents_of(model):
            field = "parent" if isinstance(model, Finetune) else "parents"
            yield from unknown(f"models.{key}.{field}", name, study.models, "model")
    for key, sae in study.saes.items():
        for name in sae.models or []:
            yield from unknown(f"saes.{key}.models", name, study.models, "model")
        for name in sae.corpora or []:
            yield from unknown(f"saes.{key}.corpora", name, study.corpora, "corpus")
        if sae.control_of:
            yield from unknown(f"saes.{key}.control_of", sae.control_of, study.saes, "SAE")
    if study.probe.corpora != "all":
        for name in study.probe.corpora:
            yield from unknown("probe.corpora", name, study.corpora, "corpus")
    dictionaries = [f"{m}.{s}" for m in study.models for s in study.saes if has(study, m, s)]
    for pair in study.pairs:
        for name in pair:
            yield from unknown("pairs", name, dictionaries, "dictionary (model.sae)")
    for key, figure in (study.figures.draw or {}).items():
        yield from (f"figures.draw.{key}{problem}" for problem in figure.unknown(study))
    yield from _reader_problems(study)


def _flow_problems(study: "Study") -> Iterator[str]:
    floor, threshold = study.flow.floor, study.flow.threshold
    if floor is not None and floor > threshold:
        yield (
            f"flow.floor: {floor:g} is above flow.threshold, {threshold:g}: pairs between them "
            f"would be lost; use {threshold:g} at most, or null to keep every pair"
        )


def _reader_problems(study: "Study") -> Iterator[str]:
    """What cases, interpretation and the explorer name."""
    known = study.flow_saes
    if not known and (study.cases or study.interpret):
        yield f"{'cases' if study.cases else 'interpret'}: there are no SAEs whose features to read"
        return
    for key, case in study.cases.items():
        model = case.feature.split("/")[0] if case.feature else case.model
        field = "feature" if case.feature else "model"
        if case.sae:
            yield from unknown(f"cases.{key}.sae", case.sae, known, "SAE with a flow")
        if model:
            yield from unknown(f"cases.{key}.{field}", model, study.models, "model")
        sae = case.sae or known[0]
        if sae in study.saes and model in study.models and not has(study, model, sae):
            yield f"cases.{key}.{field}: {model} has no SAE {sae!r}"
    if (interpret := study.interpret) is not None:
        if interpret.sae:
            yield from unknown("interpret.sae", interpret.sae, known, "SAE with a flow")
        for key, names in (("models", interpret.models or []), ("features", interpret.features)):
            for name in names:
                yield from unknown(f"interpret.{key}", name, study.models, "model")
    for name in (study.explorer.saes if study.explorer else None) or []:
        yield from unknown("explorer.saes", name, known, "SAE with a flow")


def _cycles(study: "Study") -> tuple[list[str], set[str]]:
    """A line a cycle of parents, and the models in them."""
    done: set[str] = set()
    lines: list[str] = []
    inside: set[str] = set()

    def visit(name: str, path: list[str]) -> None:
        if name in path:
            cycle = path[path.index(name) :]
            if not inside & set(cycle):
                lines.append(f"models: a cycle, {' → '.join([*cycle, name])}")
            inside.update(cycle)
        elif name not in done and name in study.models:
            for parent in parents_of(study.models[name]):
                visit(parent, [*path, name])
            done.add(name)

    for name in study.models:
        visit(name, [])
    return lines, inside


def _graph_problems(study: "Study") -> Iterator[str]:
    architectures = {name: _architecture(study, name) for name in study.models}
    for key, model in study.models.items():
        if isinstance(model, Merge):
            yield from _merge_problems(study, key, model, architectures)
    for key, figure in (study.figures.draw or {}).items():
        yield from (f"figures.draw.{key}{problem}" for problem in figure.impossible(study))
    yield from _hook_problems(study, architectures)


def _window_problems(study: "Study") -> Iterator[str]:
    window, context = study.activations.window, context_of(study)
    asked = {sae.context or study.activations.context for sae in study.saes.values()}
    if "full" in asked and context // window < 2:
        yield (
            f"activations.window: {window} tokens do not fit behind the first {window} of a block "
            f"of {context}; use a smaller window, or context: truncated"
        )
    if "truncated" in asked and window == 1 and study.activations.special == "drop":
        yield (
            "activations.window: the first token of a block is no row, and a window of 1 that is "
            "read alone has no other; use a larger window, context: full, or special: keep"
        )
    yield from _split_problems(study)


def _split_problems(study: "Study") -> Iterator[str]:
    """What one corpus holds out is trained on in none, so the largest shares must leave some."""
    largest = {
        key: max(study.corpora, key=lambda name: getattr(study.corpora[name], key))
        for key in ("validation", "selection")
    }
    shares = [getattr(study.corpora[name], key) for key, name in largest.items()]
    if sum(shares) >= 1 and len(set(largest.values())) > 1:
        yield (
            f"corpora.{largest['validation']}.validation {shares[0]:g} and "
            f"corpora.{largest['selection']}.selection {shares[1]:g} leave no corpus a document to "
            "train on: what one corpus holds out is trained on in none; make them smaller"
        )


def _merge_problems(
    study: "Study", key: str, model: Merge, architectures: dict[str, Architecture | None]
) -> Iterator[str]:
    known = {p: a for p in model.parents if (a := architectures[p]) is not None}
    if len({a.model_dump_json() for a in known.values()}) > 1:
        yield f"models.{key}.parents: {', '.join(known)} have different architectures"
    parents = " and ".join(model.parents)
    shared = set.intersection(*({p, *ancestors(study, p)} for p in model.parents))
    if getattr(model.method, "t", None) == "balanced" and not shared:
        yield (
            f"models.{key}.method.t: balanced needs a common ancestor of {parents}; "
            "use equilibrium, or a number"
        )
    if not isinstance(model.method, TaskVectors):
        return
    if model.method.base is None and not shared:
        yield (
            f"models.{key}.method: {model.method.kind} adds up differences from a common ancestor, "
            f"and {parents} have none; use linear, or slerp"
        )
    elif model.method.base is not None and model.method.base not in shared:
        hint = f"there are: {', '.join(n for n in study.models if n in shared)}" if shared else ""
        yield (
            f"models.{key}.method.base: {model.method.base!r} is no ancestor of {parents}"
            f"{'; ' + hint if hint else ''}"
        )


def _hook_problems(study: "Study", architectures: dict[str, Architecture | None]) -> Iterator[str]:
    for key, sae in study.saes.items():
        block = re.match(r"blocks\.(\d+)\.", sae.hook)
        for model in study.models:
            architecture = architectures[model]
            if architecture is None or not block or not has(study, model, key):
                continue
            if int(block[1]) >= architecture.layers:
                last = architecture.layers - 1
                yield f"saes.{key}.hook: {sae.hook}, but the last block of {model} is {last}"
                break


def _architecture(study: "Study", name: str) -> Architecture | None:
    """None for what is known only when the model is loaded."""
    root = root_of(study, name)
    return root.architecture if isinstance(root, Base) else None
