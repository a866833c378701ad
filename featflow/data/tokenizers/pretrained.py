"""A tokenizer that exists: a folder, a file, or a name on the Hugging Face hub.

A tokenizer.json is taken as it is. A SentencePiece model is converted (featflow/data/spm.py), so
that its ids are those of the `sentencepiece` library. Anything else that a folder may hold
(vocab.json and merges.txt, vocab.txt, ...) is read by transformers.
"""

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from featflow.config.tokenizers import Pretrained
from featflow.data.bos import facts_beside, settle
from featflow.data.places import TOKENIZER_FILES, SourceError, expand_path

FILE = "tokenizer.json"
SENTENCEPIECE = "tokenizer.model"


def build(cfg: Pretrained, corpora: list[Path]) -> Tokenizer:
    """The tokenizer as it is, but for truncation and padding, which are switched off.

    Its post-processor is changed where it puts another token in front of a text than the one that
    begins a document.

    Raises:
        SourceError: when it cannot be found or read, or does not say what begins a document.
    """
    name = expand_path(cfg.name, "name")
    path = Path(name)
    if path.exists() and cfg.revision:
        raise SourceError(f"revision: {cfg.name!r} lies here and has none; leave it out")
    if path.is_file():
        known = path.name in (FILE, SENTENCEPIECE)
        tokenizer, facts = _of_file(path), facts_beside(path.parent) if known else {}
    elif path.is_dir():
        tokenizer, facts = _of_folder(path, f"the folder {name!r}")
    else:
        tokenizer, facts = _of_folder(_fetched(name, cfg.revision), f"{name!r} on the hub")
    settle(tokenizer, cfg.bos, facts)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _fetched(name: str, revision: str | None) -> Path:
    from featflow.data.hub import Repository, folder

    return folder(Repository("model", name, revision, "name"), list(TOKENIZER_FILES))


def _of_folder(folder: Path, label: str) -> tuple[Tokenizer, dict[str, Any]]:
    """The tokenizer, and what its files say of its special tokens."""
    for name in (FILE, SENTENCEPIECE):
        if (folder / name).is_file():
            return _of_file(folder / name), facts_beside(folder)
    return _by_transformers(folder, label)


def _of_file(path: Path) -> Tokenizer:
    with open(path, "rb") as file:
        is_json = file.read(64).lstrip().startswith(b"{") or path.suffix == ".json"
    try:
        if is_json:
            return Tokenizer.from_file(str(path))
        from featflow.data.spm import convert

        return convert(path)
    except Exception as error:  # the library raises no narrower class
        kind = FILE if is_json else "SentencePiece model that can be used"
        raise SourceError(f"name: {path} is no {kind}: {error}") from error


def _by_transformers(folder: Path, label: str) -> tuple[Tokenizer, dict[str, Any]]:
    """What transformers makes of a folder's other files, defaults of its classes included."""
    from transformers import AutoTokenizer

    try:
        found = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        tokens = {"bos_token": found.bos_token, "eos_token": found.eos_token}
        tokenizer = Tokenizer.from_str(found.backend_tokenizer.to_str())
    except Exception as error:  # of every class, by what is missing
        names = ", ".join(sorted(p.name for p in folder.iterdir() if p.is_file())) or "no file"
        raise SourceError(
            f"name: {label} has no {FILE}, no {SENTENCEPIECE}, and nothing else that transformers "
            f"reads as a tokenizer; it has: {names}"
        ) from error
    return tokenizer, {**tokens, **facts_beside(folder)}
