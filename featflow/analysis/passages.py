"""Passages of the probe that show a feature, with the activations of every model on them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from featflow.data.token_text import marked
from featflow.features.probe import Probe
from featflow.features.scope import document_of

BEFORE, AFTER = 19, 12
"""Tokens shown before and after the one at which a passage was found: 32 in all."""


def strongest(values: np.ndarray, probe: Probe, count: int, scope: Sequence[str]) -> list[int]:
    """The rows with the largest values, at most one a document.

    Args:
        values: (T,); rows with 0 are never named.
        probe: the rows.
        count: at most so many.
        scope: the corpora on which the feature is judged: their rows come before all others.

    Returns:
        Rows, largest value first within the scope and without; of equal ones the first row.
    """
    fired = np.flatnonzero(values > 0)
    outside = np.array([corpus not in scope for corpus in probe.corpora])[probe.corpus_of(fired)]
    order = fired[np.lexsort((fired, -values[fired], outside))]
    _, first = np.unique(probe.documents[order], return_index=True)
    return order[np.sort(first)[:count]].tolist()


def passage(
    row: int,
    probe: Probe,
    marks: np.ndarray,
    activations: Mapping[str, np.ndarray],
    tokenizer: Tokenizer,
    scope: Sequence[str],
) -> dict[str, Any]:
    """The tokens around a row, within its document.

    Args:
        row: of the probe.
        probe: its rows.
        marks: (T,) bool, S.
        activations: (T,) by model.
        tokenizer: of the study.
        scope: the corpora on which the feature is judged.

    Returns:
        corpus; in_scope (whether that is one of the scope); document (its number in the corpus);
        position (of the first token, in the corpus's input_ids); at (which of the tokens the row
        is); ids; texts; marked (whether the token is in S); values by model. `marked` and values
        are None at tokens that are no rows of the probe.
    """
    corpus = int(probe.corpus_of(np.array(row)))
    first, stop = probe.offsets[corpus : corpus + 2]
    tokens, positions = probe.streams[corpus], probe.positions[first:stop]
    here = int(probe.positions[row])
    document = int(document_of(np.array(here), tokens.document_starts))
    ends = [*tokens.document_starts[1:], len(tokens.ids)]
    begin = max(here - BEFORE, int(tokens.document_starts[document]))
    stop = min(here + 1 + AFTER, int(ends[document]))
    stretch = np.arange(begin, stop)
    rows = np.searchsorted(positions, stretch)
    known = positions[np.minimum(rows, len(positions) - 1)] == stretch

    def at_rows(values: np.ndarray) -> list[Any]:
        found = values[np.minimum(first + rows, len(values) - 1)].tolist()
        return [value if there else None for value, there in zip(found, known, strict=True)]

    return {
        "corpus": probe.corpora[corpus],
        "in_scope": probe.corpora[corpus] in scope,
        "document": document,
        "position": begin,
        "at": here - begin,
        "ids": tokens.ids[begin:stop].tolist(),
        "texts": [text for text, _ in marked(tokens.ids, stretch, tokenizer)],
        "marked": at_rows(marks),
        "values": {
            name: [v if v is None else round(v, 4) for v in at_rows(values)]
            for name, values in activations.items()
        },
    }
