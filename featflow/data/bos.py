"""Which token begins a document: what a tokenizer's files say of it, kept in its post-processor.

tokenizer.json itself has no better place: what its post-processor puts in front of a text is what
transformers puts there, too.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, processors

from featflow.config.errors import did_you_mean
from featflow.data.places import SourceError
from featflow.runtime.log import log

AUTO = "auto"
"""The config's word for: as the tokenizer's files say."""
FILES = ("special_tokens_map.json", "tokenizer_config.json")
"""Files of transformers beside a tokenizer; what the later one says counts."""


def document_token(tokenizer: Tokenizer) -> tuple[str, int] | None:
    """The token that begins a document, and its id: what the post-processor puts in front."""
    processor = tokenizer.post_processor
    return None if processor is None else _first(json.loads(processor.__getstate__()))


def _first(processor: Mapping[str, Any]) -> tuple[str, int] | None:
    if processor["type"] == "TemplateProcessing":
        name = processor["single"][0].get("SpecialToken", {}).get("id")
        if name is None:
            return None
        special = processor["special_tokens"][name]
        return special["tokens"][0], special["ids"][0]
    if processor["type"] in ("BertProcessing", "RobertaProcessing"):
        return tuple(processor["cls"])
    inner = processor.get("processors", []) if processor["type"] == "Sequence" else []
    return next((found for each in inner if (found := _first(each))), None)


def settle(tokenizer: Tokenizer, wanted: str | None, facts: Mapping[str, Any]) -> None:
    """Let the post-processor put in front of a document what begins one, and no other token.

    Args:
        tokenizer: is changed.
        wanted: the token, None for none, or `auto`.
        facts: what its files say, as of `facts_beside`.

    Raises:
        SourceError: when the tokenizer has no such token, or nothing says which it is.
    """
    token = _said(tokenizer, facts) if wanted == AUTO else wanted
    if token is not None:
        _make_special(tokenizer, token, told=wanted != AUTO)
    found = document_token(tokenizer)
    if token == (found and found[0]):
        return
    if token is None:
        tokenizer.post_processor = processors.TemplateProcessing(single="$A", pair="$A $B")
        return
    bos = {"id": "bos", "ids": [tokenizer.token_to_id(token)], "tokens": [token]}
    tokenizer.post_processor = processors.TemplateProcessing(
        single="bos $A", pair="bos $A bos $B", special_tokens=[bos]
    )


def facts_beside(folder: Path) -> dict[str, Any]:
    """What a tokenizer's files in a folder say: bos_token, eos_token (text or null), add_bos_token.

    Of a model's config.json the number bos_token_id, too.

    Raises:
        SourceError: for a file that is no JSON object.
    """
    found: dict[str, Any] = {}
    for name in FILES:
        content = _object(folder / name)
        found |= {key: _text(content[key]) for key in ("bos_token", "eos_token") if key in content}
        found |= {key: content[key] for key in ("add_bos_token",) if key in content}
    number = _object(folder / "config.json").get("bos_token_id")
    return found if number is None else {**found, "bos_token_id": number}


def _object(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        raise SourceError(f"name: {path} cannot be read: {error}; mend or delete it") from error
    if not isinstance(content, dict):
        raise SourceError(f"name: {path} is no JSON object; mend or delete it")
    return content


def _text(token: Any) -> str | None:
    """A token is written as its text, or as an object with that as its content."""
    return token.get("content") if isinstance(token, dict) else token


def _said(tokenizer: Tokenizer, facts: Mapping[str, Any]) -> str | None:
    """What begins a document by the tokenizer's files; None where they say that nothing does.

    A token that is not put in front (add_bos_token: false) begins a document all the same where it
    ends the one before: GPT-2's training text had it between documents.
    """
    token, put = facts.get("bos_token"), facts.get("add_bos_token") is not False
    if token and (put or token == facts.get("eos_token")):
        return token
    if put and (found := document_token(tokenizer)):
        return found[0]
    if not put or "bos_token" in facts:
        log.warning(
            "by the tokenizer's own files no token begins a document: documents follow each other "
            "without one between; set `bos` to put one there (its special tokens: %s), or "
            "`bos: null` to be rid of this warning",
            ", ".join(special_tokens(tokenizer)) or "none",
        )
        return None
    by_number = tokenizer.id_to_token(facts["bos_token_id"]) if "bos_token_id" in facts else None
    if by_number in special_tokens(tokenizer):
        return by_number
    raise SourceError(
        "bos: nothing says which token begins a document: no bos_token in tokenizer_config.json or "
        "special_tokens_map.json beside the tokenizer, and nothing that it puts in front itself; "
        f"set `bos` to one of its special tokens "
        f"({', '.join(special_tokens(tokenizer)) or 'none'}), or to null for none"
    )


def _make_special(tokenizer: Tokenizer, token: str, told: bool) -> None:
    """No text may spell the token that begins a document."""
    if tokenizer.token_to_id(token) is None:
        hint = did_you_mean(token, special_tokens(tokenizer))
        whose = "" if told else ", which by its own files begins a document"
        raise SourceError(f"bos: the tokenizer has no token {token!r}{whose}; {hint}")
    if token not in special_tokens(tokenizer):
        tokenizer.add_special_tokens([token])


def special_tokens(tokenizer: Tokenizer) -> dict[str, int]:
    """What the tokenizer calls special, which is no text: token and id."""
    return {t.content: i for i, t in tokenizer.get_added_tokens_decoder().items() if t.special}
