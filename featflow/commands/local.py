"""What a study needs of this machine, looked up before any job: files, folders, variables."""

from collections.abc import Iterator, Sequence
from functools import partial

from featflow.config import FeatflowError
from featflow.config.models import Pretrained
from featflow.config.study import Study
from featflow.config.tokenizers import Pretrained as PretrainedTokenizer
from featflow.data.corpora import kind_of
from featflow.data.places import (
    MODEL_FILES,
    TOKENIZER_FILES,
    SourceError,
    keyed,
    local_files,
    local_path,
)


def problems(name: str, study: Study) -> list[str]:
    """What the study names and this machine does not have; each line begins with the key."""
    found = []
    for where, look in _looks(study):
        try:
            with keyed(f"studies.{name}.{where}"):
                look()
        except FeatflowError as error:
            found.append(str(error))
    return found


def _looks(study: Study) -> Iterator[tuple]:
    """The place of each thing to look up, and how to."""

    def there(name: str, wanted: Sequence[str]) -> None:
        local_path(name, "name")
        local_files(name, wanted, "name")

    for key, corpus in study.corpora.items():
        yield f"corpora.{key}", partial(kind_of(corpus).local_files, corpus)
    tokenizer = study.tokenizer
    if isinstance(tokenizer, PretrainedTokenizer):
        yield "tokenizer", partial(there, tokenizer.name, TOKENIZER_FILES)
    for key, model in study.models.items():
        if isinstance(model, Pretrained):
            where = f"models.{key}"
            yield where, partial(_model_folder, model.name)
            yield where, partial(there, model.name, MODEL_FILES)


def _model_folder(name: str) -> None:
    path = local_path(name, "name")
    if path is not None and not (path / "config.json").is_file():
        raise SourceError(
            f"name: {name!r} is no model: there is no config.json in it; give a folder in Hugging "
            "Face's format"
        )
