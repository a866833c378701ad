"""A row a feature: how often and how strongly it fires on the probe, and where most."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numba import njit
from tokenizers import Tokenizer

from featflow.data.token_text import marked
from featflow.data.tokens import Tokens
from featflow.features.dump import Dump, Spool
from featflow.features.ranking import insert
from featflow.features.scope import document_of

CONTEXTS = 10
"""Top contexts a feature, each from another document."""


class Encoded(NamedTuple):
    """A corpus's dump and the tokens that it was made from."""

    dump: Dump | Spool
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
    parts = {name: _Part(encoded) for name, encoded in corpora.items()}
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


class _Part:
    """What one corpus adds to the summary: its rows are read once, some thousands at a time.

    m features, k contexts.
    """

    def __init__(self, encoded: Encoded):
        """Args: a corpus's dump, its rows in order, and its tokens."""
        dump, features = encoded.dump, encoded.dump.features
        self.rows = 0
        self.firings, self.documents = np.zeros((2, features), np.int64)
        self.total = np.zeros(features)
        self.top = np.full((features, CONTEXTS), -1)
        """(m, k) positions, strongest first, each of another document; −1 where there is none."""
        self.values = np.full((features, CONTEXTS), -np.inf, np.float32)
        """(m, k) float32, −inf where there is none."""
        sums, tops = (self.firings, self.documents, self.total), (self.top, self.values)
        latest = np.full(features, -1), np.full(features, -1), np.zeros(features, np.float32)
        for part in dump.parts():
            document = document_of(part.positions, encoded.tokens.document_starts)
            _add(part, document, sums, latest, tops)
            self.rows += len(document)
        _close(latest, tops)


@njit(cache=True)
def _add(part, document, sums, latest, tops):
    """Add rows. `latest` of each feature: the document in which it fired last, the position there
    at which it is strongest, and how strong."""
    firings, documents, total = sums
    last, place, best = latest
    for row in range(len(document)):
        for p in range(part.indptr[row], part.indptr[row + 1]):
            i, value = part.indices[p], part.values[p]
            firings[i] += 1
            total[i] += np.float64(value)
            if last[i] != document[row]:
                _close_one(i, latest, tops)
                documents[i] += 1
                last[i], best[i] = document[row], 0
            if value > best[i]:
                place[i], best[i] = part.positions[row], value


@njit(cache=True)
def _close(latest, tops):
    for i in range(len(latest[0])):
        _close_one(i, latest, tops)


@njit(cache=True)
def _close_one(i, latest, tops):
    last, place, best = latest
    top, values = tops
    if last[i] >= 0 and best[i] > values[i, -1]:
        insert(top[i], values[i], place[i], best[i])


def _contexts(
    corpora: Mapping[str, Encoded], parts: Mapping[str, _Part], tokenizer: Tokenizer
) -> list[list[dict[str, Any]]]:
    """The strongest contexts of each feature over all corpora."""
    tops = [_flat(name, part) for name, part in parts.items()]
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


def _flat(name: str, part: _Part) -> pd.DataFrame:
    """A corpus's top rows as a table, sorted by feature, strongest first."""
    feature, rank = np.nonzero(part.top >= 0)
    return pd.DataFrame(
        {
            "feature": feature,
            "corpus": name,
            "position": part.top[feature, rank],
            "activation": part.values[feature, rank].astype(np.float64),
        }
    )
