"""Where a source is: on the hub, or in files of this machine, and in which state they are."""

import hashlib
import os
from collections.abc import Iterable

from featflow.core import paths
from featflow.core.config import Study
from featflow.core.slicer import Slices


def on_the_hub(name: str) -> bool:
    """Whether a name is the hub's: no file or folder of this machine."""
    return not os.path.exists(_expanded(name))


def files_below(name: str) -> list[str]:
    """The files of a local file or folder; none for a name on the hub."""
    name = _expanded(name)
    if os.path.isfile(name):
        return [name]
    return sorted(os.path.join(top, file) for top, _, found in os.walk(name) for file in found)


def state(names: Iterable[str]) -> str | None:
    """A digest of some files' names, sizes and times: none for no file."""
    digest, any_file = hashlib.sha256(), False
    for name in names:
        any_file, stat = True, os.stat(name)
        digest.update(f"{os.path.basename(name)} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16] if any_file else None


def hub_corpora(study: Study) -> list[str]:
    """The corpora of a study that come from the hub."""
    found = {n: s for n, s in study.corpora.items() if s.kind == "hub"}
    return [name for name, source in found.items() if on_the_hub(source.dataset)]


def hub_tokenizer(study: Study) -> list[str]:
    """The file of a study's tokenizer, if that comes from the hub."""
    tokenizer = study.tokenizer
    pretrained = tokenizer.kind == "pretrained" and on_the_hub(tokenizer.name)
    return ["tokenizer.json"] if pretrained else []


def hub_models(study: Study) -> list[str]:
    """The models of a study that come from the hub."""
    found = {n: m for n, m in study.models.items() if m.kind == "pretrained"}
    return [name for name, model in found.items() if on_the_hub(model.name)]


def from_the_hub(name: str, slices: Slices) -> list[str]:
    """Every target of a study that needs a network."""
    study = slices.study
    return [
        *(
            paths.CORPUS.at(study=name, corpus=c, split=s)
            for c in hub_corpora(study)
            for s in paths.SPLITS
        ),
        *(paths.TOKENIZER.at(study=name) for _ in hub_tokenizer(study)),
        *(paths.MODEL.at(study=name, model=m) for m in hub_models(study)),
    ]


def words_on_fetching(name: str, slices: Slices) -> str:
    """What `fetch` is about, in a line."""
    study = slices.study
    found = [f"corpus {corpus}" for corpus in hub_corpora(study)]
    found += ["the tokenizer" for _ in hub_tokenizer(study)]
    found += [f"model {model}" for model in hub_models(study)]
    if not found:
        return f"Study {name} needs no network: there is nothing to fetch."
    return f"Study {name}: from the hub come {', '.join(found)}."


def _expanded(name: str) -> str:
    return os.path.expanduser(os.path.expandvars(name))
