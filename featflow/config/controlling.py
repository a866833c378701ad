"""Which nodes of a study are controls, of what kind, and what is wrong with them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from featflow.config.graph import is_control, roots_of, trained_on
from featflow.config.models import Base, Finetune, Pretrained, Random

if TYPE_CHECKING:
    from featflow.config.study import Study

ModelArm = Literal["random", "unrelated", "continued", "retrained"]
SaeArm = Literal["reseed", "data", "init", "context"]

VARIED: dict[str, SaeArm] = {
    "seed": "reseed",
    "corpora": "data",
    "init": "init",
    "context": "context",
}
"""The one key in which a control differs from its SAE, and what it then is."""


def model_arm(study: "Study", name: str) -> ModelArm | None:
    """What kind of control a model is; None for one that is none, or none that makes sense.

    random: random weights. unrelated: all its roots are others than those of the model that it
    stands for. continued: the same parent, trained further on corpora of the parent's own.
    retrained: another seed of the same training.
    """
    model = study.models[name]
    if isinstance(model, Random):
        return "random"
    other = study.models.get(getattr(model, "control_of", None) or "")
    if other is None or other.kind != model.kind or isinstance(model, Pretrained):
        return None
    if not roots_of(study, name) & roots_of(study, model.control_of):  # type: ignore[union-attr,arg-type]
        return "unrelated"
    if not (isinstance(model, Finetune) and isinstance(other, Finetune)):
        return None
    if model.parent != other.parent:
        return None
    if set(model.corpora) == set(other.corpora):
        return "retrained" if model.seed != other.seed else None
    parent = study.models[model.parent]
    own = set(getattr(parent, "corpora", []))
    return "continued" if set(model.corpora) <= own else None


def sae_arm(study: "Study", name: str) -> SaeArm | None:
    """What kind of control an SAE is; None for one that is none."""
    sae = study.saes[name]
    main = study.saes.get(sae.control_of or "")
    if main is None:
        return None
    differing = [key for key in VARIED if getattr(sae, key) != getattr(main, key)]
    return VARIED[differing[0]] if differing else None


def control_problems(study: "Study") -> Iterator[str]:
    """Everything that is wrong with the controls; the names in them are right."""
    for key in study.models:
        yield from _model_problems(study, key)
    for key in study.saes:
        yield from _sae_problems(study, key)


def _model_problems(study: "Study", key: str) -> Iterator[str]:
    model = study.models[key]
    other = getattr(model, "control_of", None)
    where = f"models.{key}.control_of"
    if other is None:
        parents = [getattr(model, "parent", None), *getattr(model, "parents", [])]
        for parent in parents:
            if parent is not None and is_control(study.models[parent]) and not is_control(model):
                yield f"models.{key}: its parent {parent} is a control; give it control_of too"
    elif is_control(study.models[other]):
        yield f"{where}: {other!r} is itself a control"
    elif study.models[other].kind != model.kind:
        yield f"{where}: {other!r} is a {study.models[other].kind}, {key!r} a {model.kind}"
    elif isinstance(model, Base):
        if model.seed == study.models[other].seed:  # type: ignore[union-attr]
            yield f"models.{key}.seed: a control needs another seed than {other!r} has"
    elif model_arm(study, key) is None:
        yield (
            f"{where}: it is no control of {other!r}: it needs other bases (unrelated), the same "
            "parent and corpora of the parent's own (continued), or another seed alone (retrained)"
        )


def _sae_problems(study: "Study", key: str) -> Iterator[str]:
    sae = study.saes[key]
    main = study.saes.get(sae.control_of or "")
    if main is None:
        return
    differing = [name for name in VARIED if getattr(sae, name) != getattr(main, name)]
    if main.control_of is not None:
        yield f"saes.{key}.control_of: {sae.control_of!r} is itself a control"
    elif not differing:
        yield (
            f"saes.{key}.seed: a control needs another seed than {sae.control_of!r} has, "
            "or other corpora, init or context"
        )
    elif main.models is not None and not set(sae.models or study.models) <= set(main.models):
        yield f"saes.{key}.models: {sae.control_of!r} is not trained on all of these models"
    elif differing == ["corpora"] and set(sae.corpora or []) not in _mixtures(study, key):
        there = " | ".join(", ".join(sorted(m)) for m in sorted(_mixtures(study, key), key=sorted))
        yield (
            f"saes.{key}.corpora: a control of the data needs what the SAE of a child of its "
            f"models is trained on; there is: {there or 'none'}"
        )
    else:
        same = {**dict.fromkeys(VARIED), "models": None, "control_of": None}
        mine, theirs = (s.model_copy(update=same).model_dump() for s in (sae, main))
        changed = [name for name in mine if mine[name] != theirs[name]]
        changed += differing[1:]
        for name in changed:
            yield (
                f"saes.{key}.{name}: a control differs from {sae.control_of!r} in its "
                f"{differing[0]} alone"
            )


def _mixtures(study: "Study", key: str) -> set[frozenset[str]]:
    """What the SAEs of the children of an SAE's models are trained on."""
    on = study.saes[key].models or list(study.models)
    if study.activations.data == "common":
        return {frozenset(study.corpora)}
    return {
        frozenset(trained_on(study, name))
        for name, model in study.models.items()
        if not is_control(model)
        and {getattr(model, "parent", None), *getattr(model, "parents", [])} & set(on)
    }
