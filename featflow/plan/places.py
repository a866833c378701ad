"""Where a source is: on the hub, or in files of this machine, and in which state they are.

A file of this machine is no input of a rule: by its state, a new, changed or deleted one rebuilds
what is made from it, one dated in the future does so once, and no path can trouble a command line.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch

from featflow.config import FeatflowError, Study
from featflow.plan import paths
from featflow.plan.slicer import Slices

TOKENIZER_FILES = (
    *("tokenizer*", "*tokens*.json", "vocab*", "merges.txt", "*.model", "config.json"),
)
"""The files of a folder or repository that a tokenizer may be made of: weights are left alone."""
MODEL_FILES = (
    *("config.json", "generation_config.json", "model*.safetensors"),
    *("model.safetensors.index.json", *TOKENIZER_FILES),
)
"""Those that a model may be made of."""
DATA_FILES = tuple(
    f"*{ending}{packed}"
    for ending in (".parquet", ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt", ".arrow")
    for packed in ("", ".gz", ".zst", ".bz2", ".xz")
)
"""Those that hold the rows of a data set."""


def on_the_hub(name: str) -> bool:
    """Whether a name is the hub's: no file or folder of this machine."""
    return not os.path.exists(_expanded(name))


def local_files(name: str, wanted: Sequence[str], key: str) -> list[str]:
    """The files of a local folder, or of a file and what may lie beside it; none for the hub's.

    Args:
        name: as the config has it.
        wanted: globs of the names that count; those of `DATA_FILES` at any depth.
        key: of the config, for the error.

    Raises:
        FeatflowError: for a link that leads nowhere, among those that count.
    """
    name = _expanded(name)
    if os.path.isfile(name):
        folder = os.path.dirname(name)
        found = [name, *(file for file in _directly(folder, wanted) if file != name)]
    elif wanted is DATA_FILES:
        found = sorted(os.path.join(top, n) for top, _, names in os.walk(name) for n in names)
        found = [file for file in found if os.path.exists(file) or _counts(file, wanted)]
    else:
        found = _directly(name, wanted) if os.path.isdir(name) else []
    for file in found:
        if not os.path.exists(file):
            raise FeatflowError(
                f"{key}: {file} is a link to {os.readlink(file)}, which is not there; mend the "
                "link, or delete it"
            )
    return found


def _directly(folder: str, wanted: Sequence[str]) -> list[str]:
    found = sorted(os.path.join(folder, name) for name in os.listdir(folder or "."))
    return [file for file in found if _counts(file, wanted) and not os.path.isdir(file)]


def _counts(file: str, wanted: Sequence[str]) -> bool:
    return any(fnmatch(os.path.basename(file), glob) for glob in wanted)


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
    """`~` and `${VAR}` put in; data/sources.py tells of a variable that is not set."""
    known = re.sub(r"\$\{(\w+)\}", lambda match: os.environ.get(match[1], match[0]), name)
    return os.path.expanduser(known)
