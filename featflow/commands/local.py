"""What a study needs of this machine, looked up before any job: files, folders, variables."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from featflow.config import FeatflowError
from featflow.config.corpora import Files, Hub
from featflow.config.models import Pretrained
from featflow.config.study import Study
from featflow.config.tokenizers import Pretrained as PretrainedTokenizer
from featflow.data.corpora import files
from featflow.data.sources import SourceError, expand_path, keyed
from featflow.plan.places import DATA_FILES, MODEL_FILES, TOKENIZER_FILES, local_files


def problems(name: str, study: Study) -> list[str]:
    """What the study names and this machine does not have; each line begins with the key."""
    found = []
    for where, look in _looks(study, f"studies.{name}"):
        try:
            with keyed(f"studies.{name}.{where}"):
                look()
        except FeatflowError as error:
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


def _looks(study: Study, at: str) -> Iterator[tuple]:
    """The place of each thing to look up, and how to."""

    def there(name: str, key: str, wanted: Sequence[str], where: str) -> None:
        local_path(name, key)
        local_files(name, wanted, f"{at}.{where}.{key}")

    for key, corpus in study.corpora.items():
        if isinstance(corpus, Files):
            yield f"corpora.{key}", lambda corpus=corpus: files.paths(corpus)
        elif isinstance(corpus, Hub):
            name, where = corpus.dataset, f"corpora.{key}"
            yield where, partial(there, name, "dataset", DATA_FILES, where)
    tokenizer = study.tokenizer
    if isinstance(tokenizer, PretrainedTokenizer):
        yield "tokenizer", partial(there, tokenizer.name, "name", TOKENIZER_FILES, "tokenizer")
    for key, model in study.models.items():
        if isinstance(model, Pretrained):
            where = f"models.{key}"
            yield where, partial(_model_folder, model.name)
            yield where, partial(there, model.name, "name", MODEL_FILES, where)


def _model_folder(name: str) -> None:
    path = local_path(name, "name")
    if path is not None and not (path / "config.json").is_file():
        raise SourceError(
            f"name: {name!r} is no model: there is no config.json in it; give a folder in Hugging "
            "Face's format"
        )
