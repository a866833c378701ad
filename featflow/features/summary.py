"""A row a feature: how often and how strongly it fires on the probe, and where most."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from tokenizers import Tokenizer

from featflow.data.tokens import Tokens
from featflow.features.columns import columns, documents, sums
from featflow.features.dump import Dump
from featflow.features.ranking import top_rows
from featflow.features.scope import document_of

CONTEXTS = 10
"""Top contexts a feature, each from another document."""

AROUND = 12
"""Tokens shown on either side of the one that the feature fires on."""

MARKS = ("⟦", "⟧")
"""Around the token that the feature fires on."""


class Encoded(NamedTuple):
    """A corpus's dump and the tokens that it was made from."""

    dump: Dump
    tokens: Tokens


def summarise(corpora: Mapping[str, Encoded], tokenizer: Tokenizer) -> pd.DataFrame:
    """How each feature fires on these corpora.

    Args:
        corpora: dumps of one dictionary.
        tokenizer: of the model, for the text.

    Returns:
        feature; density: firings as a share of all rows, density_{corpus}: of that corpus's rows;
        firings; documents: those it fires in; mean over the rows it fires on (NaN: none) and max
        (0: none); contexts: a list of up to 10 structs, strongest first, each from another
        document: corpus, position (in the corpus's input_ids), activation, token (its text) and
        context (the text around it, the token between ⟦ and ⟧).
    """
    parts = {name: _Part.of(encoded) for name, encoded in corpora.items()}
    firings = np.sum([part.firings for part in parts.values()], axis=0)
    rows = sum(part.rows for part in parts.values())
    total = np.sum([part.total for part in parts.values()], axis=0)
    highest = np.max([part.values[:, 0] for part in parts.values()], axis=0)
    return pd.DataFrame(
        {
            "feature": np.arange(len(firings)),
            "density": firings / rows,
            **{f"density_{name}": part.firings / part.rows for name, part in parts.items()},
            "firings": firings,
            "documents": np.sum([part.documents for part in parts.values()], axis=0),
            "mean": np.where(firings > 0, total / np.maximum(firings, 1), np.nan),
            "max": np.maximum(highest, 0).astype(np.float64),
            "contexts": _contexts(corpora, parts, tokenizer),
        }
    )


class _Part(NamedTuple):
    """What one corpus adds to the summary; m features, k contexts."""

    rows: int
    firings: np.ndarray
    documents: np.ndarray
    total: np.ndarray
    top: np.ndarray
    """(m, k) rows of the dump, −1 where there is none."""
    values: np.ndarray
    """(m, k) float32, −inf where there is none."""

    @classmethod
    def of(cls, encoded: Encoded) -> "_Part":
        found = columns(encoded.dump.activations)
        document = document_of(encoded.dump.positions, encoded.tokens.document_starts)
        return cls(
            len(document),
            found.firings,
            documents(found, document),
            sums(found)[0],
            *top_rows(found, document, CONTEXTS),
        )


def _contexts(
    corpora: Mapping[str, Encoded], parts: Mapping[str, _Part], tokenizer: Tokenizer
) -> list[list[dict[str, Any]]]:
    """The strongest contexts of each feature over all corpora."""
    tops = [_flat(name, part, corpora[name].dump.positions) for name, part in parts.items()]
    table = pd.concat(tops, ignore_index=True).sort_values(
        ["feature", "activation"], ascending=[True, False], kind="stable", ignore_index=True
    )
    table = table[table.groupby("feature").cumcount() < CONTEXTS].reset_index(drop=True)
    texts = [("", "")] * len(table)
    for name, entries in table.groupby("corpus"):
        ids = corpora[str(name)].tokens.ids
        found = marked(ids, entries["position"].to_numpy(), tokenizer)
        for entry, text in zip(entries.index, found, strict=True):
            texts[entry] = text
    table["token"], table["context"] = zip(*texts, strict=True) if texts else ((), ())
    records: list[Any] = table.drop(columns="feature").to_dict("records")
    features = len(next(iter(parts.values())).firings)
    edges = np.searchsorted(table["feature"], np.arange(features + 1))
    return [records[start:stop] for start, stop in pairwise(edges)]


def _flat(name: str, part: _Part, positions: np.ndarray) -> pd.DataFrame:
    """A corpus's top rows as a table, sorted by feature, strongest first."""
    feature, rank = np.nonzero(part.top >= 0)
    return pd.DataFrame(
        {
            "feature": feature,
            "corpus": name,
            "position": positions[part.top[feature, rank]],
            "activation": part.values[feature, rank].astype(np.float64),
        }
    )


def marked(ids: np.ndarray, at: np.ndarray, tokenizer: Tokenizer) -> Iterator[tuple[str, str]]:
    """The token at each position, and the text around it with the token marked.

    A character may be spread over several tokens: each of them is shown as the whole character.

    Args:
        ids: the stream (N,).
        at: positions in it.
        tokenizer: what made it.
    """
    starts = np.maximum(at - AROUND, 0)
    ends = (at, at + 1, at + 1 + AROUND)
    decoded = (
        tokenizer.decode_batch(
            [ids[s:e].tolist() for s, e in zip(starts, end, strict=True)], skip_special_tokens=False
        )
        for end in ends
    )
    for before, upto, whole in zip(*decoded, strict=True):
        start, stop = len(_shared(before, whole)), len(_shared(upto, whole))
        stop = min(max(stop, start + 1), len(whole))
        token = whole[start:stop]
        yield token, f"{whole[:start]}{MARKS[0]}{token}{MARKS[1]}{whole[stop:]}"


def _shared(first: str, second: str) -> str:
    """What two strings begin with."""
    if second.startswith(first):
        return first
    for i, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return first[:i]
    return second
