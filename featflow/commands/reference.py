"""docs/config.md: every key of the config, from the classes that read it."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from featflow.commands.examples import EXAMPLES
from featflow.commands.meanings import meanings
from featflow.commands.words import link, title_of, type_of
from featflow.config.errors import models_in
from featflow.config.load import FAMILIES
from featflow.config.study import Study

HEAD = f"""# The config reference

<!-- Written by `make docs` from the classes in featflow/config: edit those. -->

`workflow_config.yaml` holds the studies. `study` is the one that `snakemake` builds when no target
is named; `featflow check` says what is wrong with one, `featflow init` writes one to start from.

```yaml
study: mine
studies:
  mine:
    corpora: {{...}}
    tokenizer: {{...}}
    models: {{...}}
```

- A **name** (of a study, corpus, model, SAE, figure) is of small letters and digits, a letter
  first: it becomes a folder, and a part of targets.
- `extends: <name>` lays a study over another study, and an entry of {", ".join(FAMILIES)} over
  another entry beside it. Mappings are merged key by key; one whose `kind` changes is replaced
  whole, so is a list; `null` takes a key away.
- `${{VAR}}` in a path is the environment's; what it stands for reaches no artifact.
- An unknown key is an error. Everything wrong is said at once, before any job.
"""

PLAIN = {
    "kind": "What it is: decides which keys there are.",
    "study.corpora": "Where documents come from.",
    "study.tokenizer": "One for all models of the study.",
    "study.models": "The lineage: each model, and what it came from.",
    "corpora": "Corpora of the study that it is trained on.",
    "figure case.case": "Which of the study's `cases`.",
    "study.controls": "What stands beside every share.",
    "probe.corpora": "Corpora of the study.",
    "name": "`owner/name` on the hub, or a folder or file of this machine.",
    "language": "Which grammar.",
    "seed": "Another one gives other random numbers.",
    "hidden": "Width of the residual stream.",
    "layers": "Blocks of attention and MLP.",
    "heads": "Heads of attention.",
    "kv_heads": "Heads of keys and values; each serves `heads` / `kv_heads` heads.",
    "learning_rate": "At its peak.",
    "warmup_steps": "Steps over which the learning rate rises linearly from 0.",
    "weight_decay": "AdamW's.",
    "betas": "Adam's.",
    "parent": "The model that it starts from.",
    "parents": "The models that are merged, in their order.",
    "method": "How they are merged.",
    "shard_tokens": "Tokens of a shard, which is a file.",
    "tokens_per_corpus": "At most this many tokens of each corpus.",
    "split": "The split of the corpora that the tokens are from.",
}
"""The meaning of a key that its class does not explain, by `section.key` or `key`."""


def reference() -> str:
    """The reference as markdown: a chapter a key of the study, in it a section a class."""
    sections = [HEAD, _section(Study, 2)]
    seen: set[type[BaseModel]] = {Study}
    for key, field in Study.model_fields.items():
        classes = [c for top in models_in(field.annotation) for c in _classes(top) if c not in seen]
        classes = list(dict.fromkeys(classes))
        seen.update(classes)
        if classes and title_of(classes[0]) != key:
            sections.append(f"## {key}\n")
        sections += [_section(c, 2 if title_of(c) == key else 3) for c in classes]
    return "\n".join(sections)


def _classes(root: type[BaseModel]) -> list[type[BaseModel]]:
    """The class and those that its keys lead to, each once, from the top down."""
    found: dict[type[BaseModel], None] = {}

    def visit(model: type[BaseModel]) -> None:
        if model in found:
            return
        found[model] = None
        for field in model.model_fields.values():
            for below in models_in(field.annotation):
                visit(below)

    visit(root)
    return list(found)


def _section(model: type[BaseModel], level: int) -> str:
    title = title_of(model)
    parts = [f"{'#' * level} {title}", " ".join((model.__doc__ or "").split())]
    if example := EXAMPLES.get(title):
        parts.append(f"```yaml{example}```")
    if model.model_fields:
        said = meanings(model)
        rows = [_row(title, key, field, said.get(key, "")) for key, field in _ordered(model)]
        head = ["| key | what it holds | default | meaning |", "|---|---|---|---|"]
        parts.append("\n".join([*head, *rows]))
    return "\n\n".join(parts) + "\n"


def _ordered(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """`kind` first, then the class's own keys, then those that it shares with others."""
    fields = model.model_fields
    own = [key for key in fields if key in model.__annotations__]
    order = [*(["kind"] if "kind" in fields else []), *own, *fields]
    yield from ((key, fields[key]) for key in dict.fromkeys(order))


def _row(title: str, key: str, field: FieldInfo, said: str) -> str:
    classes = models_in(field.annotation)
    plain = PLAIN.get(f"{title}.{key}", PLAIN.get(key, ""))
    text = said or plain or (classes[0].__doc__ if len(classes) == 1 else "") or ""
    meaning = " ".join(text.split())
    cells = [f"`{key}`", type_of(field), _default(field), meaning]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "*required*"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        given = {key: getattr(value, key) for key in sorted(value.model_fields_set)}
        return f"`{_yaml(given)}`" if given else f"its defaults ({link(type(value))})"
    return f"`{_yaml(value)}`"


def _yaml(value: Any) -> str:
    """As one writes it in the config."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_yaml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    if isinstance(value, int) and value >= 10_000:
        return f"{value:_}"
    return f"{value:g}" if isinstance(value, float) else str(value)
