"""Passages of the probe that show a feature, with the activations of every model on them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from featflow.analysis.probe import Probe
from featflow.features.summary import marked

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
    documents = np.concatenate(
        [d + offset for d, offset in zip(probe.documents, _offsets(probe), strict=True)]
    )
    fired = np.flatnonzero(values > 0)
    sizes = [len(rows) for rows in probe.positions]
    outside = np.repeat([corpus not in scope for corpus in probe.corpora], sizes)
    order = fired[np.lexsort((fired, -values[fired], outside[fired]))]
    _, first = np.unique(documents[order], return_index=True)
    return order[np.sort(first)[:count]].tolist()


def _offsets(probe: Probe) -> list[int]:
    sizes = [len(tokens.document_starts) for tokens in probe.tokens]
    return [0, *np.cumsum(sizes)[:-1].tolist()]


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
    starts = probe.starts
    corpus = int(np.searchsorted(starts, row, side="right")) - 1
    first, positions = starts[corpus], probe.positions[corpus]
    tokens, document = probe.tokens[corpus], int(probe.documents[corpus][row - first])
    ends = [*tokens.document_starts[1:], len(tokens.ids)]
    here = int(positions[row - first])
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
