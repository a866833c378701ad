"""Where a source is: on the hub, or in files of this machine, and in which state they are.

A file of this machine is no input of a rule: by its state, a new, changed or deleted one rebuilds
what is made from it, one dated in the future does so once, and no path can trouble a command line.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from featflow.config import ConfigError, FeatflowError, Study
from featflow.config.models import Pretrained
from featflow.config.tokenizers import Pretrained as PretrainedTokenizer
from featflow.plan import paths
from featflow.plan.slicer import Slices

TOKENIZER_FILES = (
    "tokenizer*",
    "*tokens*.json",
    "vocab*",
    "merges.txt",
    "*.model",
    "config.json",
)
"""The files of a folder or repository that a tokenizer may be made of: weights are left alone."""
MODEL_FILES = (
    "config.json",
    "generation_config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    *TOKENIZER_FILES,
)
"""Those that a model may be made of."""
DATA_FILES = tuple(
    f"*{ending}{packed}"
    for ending in (".parquet", ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt", ".arrow")
    for packed in ("", ".gz", ".zst", ".bz2", ".xz")
)
"""Those that hold the rows of a data set."""


class SourceError(FeatflowError):
    """A key of a source is wrong; the message begins with the key, as the source knows it."""


@contextmanager
def keyed(where: str) -> Iterator[None]:
    """Complete the key in a SourceError.

    Args:
        where: the path of the source's mapping, such as `studies.desk.corpora.python`.

    Raises:
        ConfigError: in place of a SourceError.
    """
    try:
        yield
    except SourceError as error:
        raise ConfigError(f"{where}.{error}") from error.__cause__


def expand(text: str, key: str, quote: Callable[[str], str] = str) -> str:
    """Replace each `${VAR}` by the environment's value.

    Args:
        text: as the user wrote it.
        key: where the text stands, for the error.
        quote: applied to each value.

    Raises:
        SourceError: for a variable that is not set.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise SourceError(f"{key}: the environment variable {match[1]} is not set, in {text!r}")
        return quote(os.environ[match[1]])

    return re.sub(r"\$\{(\w+)\}", value, text)


def expand_path(name: str, key: str) -> str:
    """The same of what may be a path (or a name of the hub): `~` is put in, too."""
    return os.path.expanduser(expand(name, key))


def local_path(name: str, key: str) -> Path | None:
    """The file or folder that a name stands for; None for a name on the hub.

    On the hub a name is `owner/name`, or `name` alone.

    Raises:
        SourceError: when it can only be a path, and nothing is there.
    """
    path = Path(expand_path(name, key))
    if path.exists():
        return path
    is_path = name.startswith(("/", ".", "~", "$")) or name.count("/") > 1
    if is_path or name.endswith((".json", ".model", "/")):
        raise SourceError(f"{key}: {name!r} is no file or folder here; check the path")
    return None


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
        SourceError: for a variable that is not set, and for a link that leads nowhere, among those
            that count.
    """
    name = expand_path(name, key)
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
            raise SourceError(
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
    found = {n: s.repository for n, s in study.corpora.items()}
    return [name for name, repository in found.items() if repository and on_the_hub(repository)]


def hub_tokenizer(study: Study) -> list[str]:
    """The file of a study's tokenizer, if that comes from the hub."""
    tokenizer = study.tokenizer
    pretrained = isinstance(tokenizer, PretrainedTokenizer) and on_the_hub(tokenizer.name)
    return ["tokenizer.json"] if pretrained else []


def hub_models(study: Study) -> list[str]:
    """The models of a study that come from the hub."""
    found = {n: m for n, m in study.models.items() if isinstance(m, Pretrained)}
    return [name for name, model in found.items() if on_the_hub(model.name)]


def repositories(study: Study) -> list[str]:
    """What a study reads of the hub, by name."""
    found = [study.corpora[name].repository for name in hub_corpora(study)]
    if isinstance(study.tokenizer, PretrainedTokenizer) and hub_tokenizer(study):
        found.append(study.tokenizer.name)
    pretrained = [study.models[name] for name in hub_models(study)]
    found += [model.name for model in pretrained if isinstance(model, Pretrained)]
    return [name for name in dict.fromkeys(found) if name is not None]


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
