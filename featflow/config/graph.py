"""The graph of a study: which model came from which, on what data, and which SAEs it has."""

from typing import TYPE_CHECKING

from featflow.config.base import Name
from featflow.config.models import Base, Finetune, Merge, Model, Pretrained, Random

if TYPE_CHECKING:
    from featflow.config.study import Study


def is_control(model: Model) -> bool:
    """Whether a model is there for comparison alone."""
    return isinstance(model, Random) or getattr(model, "control_of", None) is not None


def parents_of(model: Model) -> list[Name]:
    """The models that this one is made from, in order."""
    if isinstance(model, (Base, Pretrained, Random)):
        return []
    return [model.parent] if isinstance(model, Finetune) else list(model.parents)


def ancestors(study: "Study", name: str) -> set[str]:
    """All models that a model came from."""
    parents = parents_of(study.models[name])
    return {found for parent in parents for found in (parent, *ancestors(study, parent))}


def root_of(study: "Study", name: str) -> Base | Pretrained:
    """The model without a parent at the end of the line of first parents; of a random one, the
    model that it is like."""
    model = study.models[name]
    if isinstance(model, Random):
        return root_of(study, model.like)
    if isinstance(model, (Base, Pretrained)):
        return model
    return root_of(study, parents_of(model)[0])


def roots_of(study: "Study", name: str) -> set[str]:
    """The models without a parent from which this one descends; itself, if it has none."""
    model = study.models[name]
    if isinstance(model, Finetune):
        return roots_of(study, model.parent)
    if isinstance(model, Merge):
        return set.union(*(roots_of(study, parent) for parent in model.parents))
    return {name}


def trained_on(study: "Study", name: str) -> set[str]:
    """The corpora that a model and its ancestors were trained on; all, for random weights."""
    model = study.models[name]
    if isinstance(model, Random):
        return set(study.corpora)
    parents = [getattr(model, "parent", None), *getattr(model, "parents", [])]
    own = set(getattr(model, "corpora", []))
    return own.union(*(trained_on(study, parent) for parent in parents if parent is not None))


def context_of(study: "Study") -> int:
    """Tokens of a block that every model of the study can read."""
    roots = [model for model in study.models.values() if isinstance(model, (Base, Pretrained))]
    return min(m.architecture.context if isinstance(m, Base) else m.context for m in roots)


def has(study: "Study", model: str, sae: str) -> bool:
    """Whether this SAE is trained on this model."""
    settings, node = study.saes[sae], study.models[model]
    if settings.models is not None:
        return model in settings.models
    if not is_control(node):
        return True
    # A control needs the SAE by which it is compared: no reseed of it, and none for a base that is
    # retrained only for what is fine-tuned from it.
    compared = isinstance(node, Random) or bool(parents_of(node))
    return settings.control_of is None and compared


def edges(study: "Study", sae: str) -> list[tuple[str, str]]:
    """(parent, child) of the lineage where both have this SAE; controls are in none."""
    models = {name: model for name, model in study.models.items() if not is_control(model)}
    pairs = [(p, child) for child, model in models.items() for p in parents_of(model)]
    pairs = [pair for pair in pairs if pair[0] in models]
    return [pair for pair in pairs if all(has(study, model, sae) for model in pair)]
