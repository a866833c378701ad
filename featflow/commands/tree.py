"""The lineage of a study as lines of text, and what stands beside it in `featflow check`."""

from collections.abc import Iterator

from featflow.commands.terminal import columns
from featflow.config.controlling import model_arm
from featflow.config.corpora import Corpus
from featflow.config.models import Base, Finetune, Merge, Pretrained, Random
from featflow.config.study import Study
from featflow.config.tokenizers import Bpe
from featflow.data.places import repositories
from featflow.plan.lineage import Lineage
from featflow.plan.programs import fetch

ABOVE = "↑ shown above; this is its parent too"


def tree(study: Study) -> list[str]:
    """The models as a tree, a line each: kind, corpora, SAEs.

    A merge stands under each of its parents: in full under the first that is drawn, with a mark
    under the others.
    """
    lineage, seen = Lineage(study), set[str]()
    flowing = lineage.models()

    def lines(name: str, lead: str, below: str) -> Iterator[tuple[str, ...]]:
        if name in seen:
            yield f"{lead}{name}", ABOVE, ""
            return
        seen.add(name)
        yield f"{lead}{name}", _model(study, name), _saes(lineage, name)
        children = [child for child in lineage.children(name) if child in flowing]
        for child in children:
            last = child == children[-1]
            yield from lines(
                child, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  ")
            )

    rows = [row for root in lineage.roots() for row in lines(root, "", "")]
    controls = [name for name in lineage.order() if name not in flowing]
    rows += [(name, f"control: {_control(study, name)}", _saes(lineage, name)) for name in controls]
    return columns(rows)


def corpora(study: Study) -> list[str]:
    """The corpora and the tokenizer, a line each."""
    rows: list[tuple[str, ...]] = [
        (name, corpus.kind, corpus.what, _limits(corpus)) for name, corpus in study.corpora.items()
    ]
    tokenizer = study.tokenizer
    if isinstance(tokenizer, Bpe):
        what = f"of {tokenizer.vocabulary:,} entries, trained on {', '.join(tokenizer.corpora)}"
    else:
        what = tokenizer.name
    return [*columns(rows), "", f"  tokenizer  {tokenizer.kind} {what}"]


def network(name: str, study: Study) -> list[str]:
    """What comes from the hub, and how to fetch it; nothing where nothing does."""
    hub = repositories(study)
    if not hub:
        return []
    return [
        f"  from the hub: {', '.join(hub)}",
        f"  where there is a network: {fetch(name)}",
    ]


def pairs(study: Study) -> list[str]:
    """The pairs of dictionaries that are compared, a line each; then those of controls."""
    lineage = Lineage(study)
    rows: list[tuple[str, ...]] = [(pair.role, f"{pair.a} – {pair.b}") for pair in lineage.pairs()]
    arms = [(a.kind, f"{a.a} – {a.b}") for sae in study.flow_saes for a in lineage.arms(sae)]
    rows += list(dict.fromkeys(arms))
    return columns(rows) if rows else ["  none: no SAE on both ends of an edge"]


def _model(study: Study, name: str) -> str:
    model = study.models[name]
    if isinstance(model, Merge):
        t = getattr(model.method, "t", None)
        how = model.method.kind + (f", t {t}" if t is not None else "")
        return f"merge of {' and '.join(model.parents)} ({how})"
    on = ", ".join(getattr(model, "corpora", []))
    if isinstance(model, Finetune):
        return f"fine-tune on {on}"
    return (
        f"pretrained {model.name}, for {on}" if isinstance(model, Pretrained) else f"base on {on}"
    )


def _control(study: Study, name: str) -> str:
    model = study.models[name]
    if isinstance(model, Random):
        return f"random weights, like {model.like}"
    of = getattr(model, "control_of", None)
    arm = model_arm(study, name)
    return f"{of} {'retrained from another seed' if isinstance(model, Base) else arm}"


def _saes(lineage: Lineage, name: str) -> str:
    saes = [s for s in lineage.study.saes if name in lineage.sae_models(s)]
    if not saes:
        return "no SAE"
    return f"SAE{'s' if len(saes) > 1 else ''} {', '.join(saes)}"


def _limits(corpus: Corpus) -> str:
    """What a corpus is limited to, and what it holds out."""
    limits = {"tokens": corpus.tokens, "documents": corpus.documents, "bytes": corpus.bytes}
    found = [f"{value:,} {key}" for key, value in limits.items() if value is not None]
    held_out = f"{corpus.validation:.0%} held out, {corpus.selection:.0%} for t"
    return f"{'at most ' + ', '.join(found) if found else 'no limit'}; {held_out}"
