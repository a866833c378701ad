"""What a study needs of this machine, looked up before any job: files, folders, variables."""

from collections.abc import Iterator
from pathlib import Path

from featflow.core.config import ConfigError
from featflow.core.config.corpora import Files, Hub
from featflow.core.config.models import Pretrained
from featflow.core.config.study import Study
from featflow.core.config.tokenizers import Pretrained as PretrainedTokenizer
from featflow.data.corpora import files
from featflow.data.sources import SourceError, expand_path, keyed


def problems(name: str, study: Study) -> list[str]:
    """What the study names and this machine does not have; each line begins with the key."""
    found = []
    for where, look in _looks(study):
        try:
            with keyed(f"studies.{name}.{where}"):
                look()
        except ConfigError as error:
            found.append(str(error))
    return found


def expanded(name: str, key: str = "name") -> Path:
    """A name as a path, with `~` and `${VAR}` put in."""
    return Path(expand_path(name, key))


def local_path(name: str, key: str) -> Path | None:
    """The file or folder that a name stands for; None for a name on the hub.

    On the hub a name is `owner/name`, or `name` alone.

    Raises:
        SourceError: when it can only be a path, and nothing is there.
    """
    path = expanded(name, key)
    if path.exists():
        return path
    is_path = name.startswith(("/", ".", "~", "$")) or name.count("/") > 1
    if is_path or name.endswith((".json", ".model", "/")):
        raise SourceError(f"{key}: {name!r} is no file or folder here; check the path")
    return None


def _looks(study: Study) -> Iterator[tuple]:
    """The place of each thing to look up, and how to."""
    for key, corpus in study.corpora.items():
        if isinstance(corpus, Files):
            yield f"corpora.{key}", lambda corpus=corpus: files.paths(corpus)
        elif isinstance(corpus, Hub):
            yield f"corpora.{key}", lambda corpus=corpus: local_path(corpus.dataset, "dataset")
    tokenizer = study.tokenizer
    if isinstance(tokenizer, PretrainedTokenizer):
        yield "tokenizer", lambda: local_path(tokenizer.name, "name")
    for key, model in study.models.items():
        if isinstance(model, Pretrained):
            yield f"models.{key}", lambda model=model: _model_folder(model.name)


def _model_folder(name: str) -> None:
    path = local_path(name, "name")
    if path is not None and not (path / "config.json").is_file():
        raise SourceError(
            f"name: {name!r} is no model: there is no config.json in it; give a folder in Hugging "
            "Face's format"
        )
