"""The files of a model that exists: in a folder of this machine, or from the Hugging Face hub.

Only safetensors are read: a pickle runs whatever code its author put in.
"""

from functools import reduce
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open

from featflow.artifacts.reading import parsed
from featflow.config.tokenizers import Pretrained as PretrainedTokenizer
from featflow.data.hub import Repository
from featflow.data.hub import folder as from_hub
from featflow.data.places import MODEL_FILES, TOKENIZER_FILES, SourceError, expand_path
from featflow.data.tokenizers import pretrained as tokenizers
from featflow.models.folder import HANDLE
from featflow.models.weights import WEIGHTS
from featflow.plan.stages.models import PretrainedSlice

INDEX = f"{WEIGHTS}.index.json"
"""Names the file of each weight, where they are in several."""

FLOATS = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}

AGAIN = "copy or download the model again"


class Source(NamedTuple):
    """A model's folder, how a message calls it, and its safetensors files."""

    folder: Path
    name: str
    files: dict[Path, dict[str, str]]
    """Of each file the weights' names and dtypes, as safetensors calls them."""

    def dtype(self) -> torch.dtype:
        """The dtype that its weights are stored in; of several one that holds them all.

        Raises:
            SourceError: when they are packed into fewer bits than a float has.
        """
        stored = {dtype for names in self.files.values() for dtype in names.values()}
        if packed := sorted(dtype for dtype in stored if dtype.startswith(("F8", "F6", "F4"))):
            raise SourceError(quantised(self.name, ", ".join(packed)))
        floats = [FLOATS[dtype] for dtype in sorted(stored & FLOATS.keys())]
        if not floats:
            raise SourceError(f"name: {self.name} has no weights that are floating-point numbers")
        return reduce(torch.promote_types, floats)

    def file_of(self, weight: str) -> Path:
        """The file that a weight is in; the folder where it has another name there."""
        return next((file for file, names in self.files.items() if weight in names), self.folder)

    def vocabulary(self) -> dict[str, int] | None:
        """Token to id, as the model's own tokenizer has it; None where there is none beside it.

        Raises:
            SourceError: when there is one that cannot be read.
        """
        patterns = [pattern for pattern in TOKENIZER_FILES if pattern != HANDLE]
        if not any(True for pattern in patterns for _ in self.folder.glob(pattern)):
            return None
        here = PretrainedTokenizer(kind="pretrained", name=str(self.folder), bos=None)
        return tokenizers.build(here, []).get_vocab()


def find(cfg: PretrainedSlice) -> Source:
    """A model's files: in a folder here, or from the hub (or the hub's cache).

    Raises:
        SourceError: when they cannot be had or read, or are no safetensors.
    """
    name = expand_path(cfg.name, "name")
    folder = Path(name)
    if folder.is_file():
        raise SourceError(f"name: {cfg.name!r} is a file; give the folder that the model is in")
    if folder.is_dir():
        if cfg.revision:
            raise SourceError(f"revision: {cfg.name!r} lies here and has none; leave it out")
        label = f"the folder {cfg.name!r}"
    else:
        folder = from_hub(Repository("model", name, cfg.revision, "name"), list(MODEL_FILES))
        label = f"{name!r} on the hub"
    files = [folder / file for file in _weight_files(folder, label)]
    return Source(folder, label, {file: _dtypes(file) for file in files})


def quantised(name: str, how: str) -> str:
    """What to say of a model whose weights are packed into few bits."""
    return (
        f"name: {name} is quantised ({how}): its weights can be neither trained nor merged; use "
        "the model that it was made from"
    )


def _weight_files(folder: Path, name: str) -> list[str]:
    if (folder / WEIGHTS).is_file():
        return [WEIGHTS]
    if not (folder / INDEX).is_file():
        there = sorted(path.name for path in folder.iterdir() if path.is_file())
        raise SourceError(
            f"name: {name} has neither {WEIGHTS} nor {INDEX}; featflow reads no other format, "
            "since a pickle (pytorch_model.bin) may run any code. Convert it first, if you trust "
            "it: AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(NEW_FOLDER). It has: "
            f"{', '.join(there) or 'no file'}"
        )
    try:
        index = parsed((folder / INDEX).read_text(encoding="utf-8"))
        names = sorted(set(index["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(f"name: {folder / INDEX} is no index: {error!r}; {AGAIN}") from error
    if missing := [file for file in names if not (folder / file).is_file()]:
        lost = ", ".join(missing)
        raise SourceError(f"name: {name} lacks {lost}, which its {INDEX} names; {AGAIN}")
    return names


def _dtypes(path: Path) -> dict[str, str]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: str(file.get_slice(name).get_dtype()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise SourceError(f"name: {path} cannot be read: {error}; {AGAIN}") from error
