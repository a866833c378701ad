"""Records of a feature: windows of text with its activations, some to explain, some to score.

After Bills et al. 2023 (*Language models can explain neurons in language models*) and Bricken et
al. 2023. A record is a run of consecutive tokens of one document around a row of the probe: LENGTH
at most, with the row as far in the middle as the run allows. Of each feature:

- top: the documents in which it fires most strongly, a record each, around its largest activation.
- interval: its range of activation, 0 to the largest, is cut into as many bins of one width as
  records are asked for; each bin in turn, the highest first, gives a record drawn at random from
  the documents not used yet, until there are enough.
- random: around rows drawn at random from the whole probe, whatever it does there.
- same token: around occurrences, drawn at random, of its most typical token (the one with the
  largest sum of activations) on which it does not fire.

Top and interval records go in turn to explain and to score (the strongest to explain); random and
same-token records only score. No document has both an explain and a score record, no text is in two
records. A feature that fires in fewer documents than asked for shares them out, top and interval in
proportion; in fewer than DOCUMENTS, it has no records.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from featflow.config.interpreting import Records
from featflow.features.probe import Firings, Probe
from featflow.interpret.providers import LEVELS, Record

LENGTH = 64
"""Tokens of a record at most (Bills et al.)."""

DOCUMENTS = 4
"""Documents that a feature must fire in: two to explain it by, two to score by."""


@dataclass(frozen=True)
class Sample:
    """The records of a feature."""

    explain: tuple[Record, ...] = ()
    top: tuple[Record, ...] = ()
    interval: tuple[Record, ...] = ()
    random: tuple[Record, ...] = ()
    same_token: tuple[Record, ...] = ()
    documents: frozenset[int] = frozenset()
    """Those of the score records."""
    largest: float = 0.0
    """The activation that is level 10: the largest of the explain records."""
    reason: str | None = None
    """Why there are none."""

    @property
    def score(self) -> tuple[Record, ...]:
        """All records to score by."""
        return self.top + self.interval + self.random + self.same_token


def sample(
    probe: Probe, found: Firings, asked: Records, texts: Sequence[str], seed: Sequence[int]
) -> Sample:
    """Draw the records of a feature.

    Args:
        probe: all rows.
        found: where the feature fires.
        asked: how many records of each kind.
        texts: the text of every token id.
        seed: of the study and the feature; the same seed gives the same records.

    Returns:
        The records; none, with the reason, where the feature fires in too few documents.
    """
    if not len(found.rows):
        return Sample(reason="it never fires on the probe")
    documents = len(np.unique(probe.documents[found.rows]))
    if documents < DOCUMENTS:
        return Sample(
            reason=f"it fires in {documents} of the probe's documents; records need {DOCUMENTS}"
        )
    rng = np.random.default_rng(seed)
    top = _top(probe, found, _share(documents, asked))
    interval = _interval(probe, found, asked, documents - len(top), set(probe.documents[top]), rng)
    explain = [*top[0::2], *interval[1::2]]
    scored = [*top[1::2], *interval[0::2]]
    picker = _Picker(probe, explain, scored)
    random = picker.pick(rng, np.arange(len(probe)), asked.random)
    typical = int(np.argmax(np.bincount(probe.tokens[found.rows], weights=found.values)))
    silent = np.setdiff1d(probe.occurrences(typical), found.rows, assume_unique=True)
    same = picker.pick(rng, silent, asked.same_token)
    largest = float(max(_values(probe, found, row).max() for row in explain))

    def records(rows: Sequence[int]) -> tuple[Record, ...]:
        return tuple(_record(probe, found, row, largest, texts) for row in rows)

    return Sample(
        explain=records(explain),
        top=records(top[1::2]),
        interval=records(interval[0::2]),
        random=records(random),
        same_token=records(same),
        documents=frozenset(probe.documents[[*scored, *random, *same]].tolist()),
        largest=largest,
    )


def window(probe: Probe, row: int) -> tuple[int, int]:
    """The rows of the record around a row: the first, and the first after it."""
    first, stop = probe.run_of(row)
    start = max(first, min(row - LENGTH // 2, stop - LENGTH))
    return start, min(start + LENGTH, stop)


def levels(values: np.ndarray, largest: float) -> np.ndarray:
    """Activations as 0, …, 10: rounded shares of the largest, so that a weak one may be 0."""
    return np.minimum(LEVELS, np.rint(LEVELS * values / largest)).astype(np.int64)


def _share(documents: int, asked: Records) -> int:
    """How many of the documents are for top records."""
    wanted = asked.top + asked.interval
    return asked.top if documents >= wanted else max(1, documents * asked.top // wanted)


def _top(probe: Probe, found: Firings, count: int) -> list[int]:
    """The rows of the largest activations, one a document, strongest first."""
    order = np.lexsort((found.rows, -found.values))
    _, first = np.unique(probe.documents[found.rows[order]], return_index=True)
    return found.rows[order[np.sort(first)[:count]]].tolist()


def _interval(
    probe: Probe,
    found: Firings,
    asked: Records,
    left: int,
    used: set[int],
    rng: np.random.Generator,
) -> list[int]:
    """Rows spread over the range of activation, one a document not used yet, strongest first."""
    bins, used = asked.interval, set(used)
    documents = probe.documents[found.rows]
    bin_ = np.ceil(found.values / found.values.max() * bins).astype(np.int64)
    order = rng.permutation(len(found.rows))
    waiting = [iter(order[bin_[order] == each].tolist()) for each in range(bins, 0, -1)]
    chosen: list[int] = []
    while waiting and len(chosen) < min(bins, left):
        for queue in list(waiting)[: min(bins, left) - len(chosen)]:
            place = next((i for i in queue if documents[i] not in used), None)
            if place is None:
                waiting.remove(queue)
            else:
                chosen.append(place)
                used.add(documents[place])
    chosen.sort(key=lambda i: (-found.values[i], found.rows[i]))
    return found.rows[chosen].tolist()


class _Picker:
    """Picks score records outside the documents that explain, and apart from one another."""

    def __init__(self, probe: Probe, explain: Sequence[int], scored: Sequence[int]):
        self._probe = probe
        self._explain = np.zeros(int(probe.documents[-1]) + 1, dtype=bool)
        self._explain[probe.documents[list(explain)]] = True
        self._taken = [window(probe, row) for row in scored]

    def pick(self, rng: np.random.Generator, rows: np.ndarray, count: int) -> list[int]:
        """So many of the rows, drawn at random; fewer where there are not enough."""
        probe = self._probe
        rows = rows[~self._explain[probe.documents[rows]]]
        chosen: list[int] = []
        # Few are refused for lying in another record's window: these many suffice nearly always.
        for row in rng.choice(rows, min(10 * count, len(rows)), replace=False).tolist():
            if len(chosen) == count:
                break
            start, stop = window(probe, row)
            if all(stop <= first or last <= start for first, last in self._taken):
                self._taken.append((start, stop))
                chosen.append(row)
        return chosen


def _values(probe: Probe, found: Firings, row: int) -> np.ndarray:
    """The activations in the record around a row, those of zero too."""
    start, stop = window(probe, row)
    low, high = np.searchsorted(found.rows, [start, stop])
    values = np.zeros(stop - start)
    values[found.rows[low:high] - start] = found.values[low:high]
    return values


def _record(probe: Probe, found: Firings, row: int, largest: float, texts: Sequence[str]) -> Record:
    start, stop = window(probe, row)
    values = _values(probe, found, row)
    ids = probe.tokens[start:stop].tolist()
    return Record(
        tokens=tuple(texts[i] for i in ids),
        ids=tuple(ids),
        levels=tuple(levels(values, largest).tolist()),
        values=tuple(values.tolist()),
    )
