"""Which rows of the probe a case asks for, and which feature of the first model marks them best.

S is the rows of the tokens, or of the text, that the case gives; of a feature that is asked for by
its number, those of the token that it fires on most.
"""

import difflib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from featflow.analysis import evidence
from featflow.analysis.evidence import Counts
from featflow.artifacts.io import ArtifactError, load_table
from featflow.artifacts.reading import named, rebuild
from featflow.config.cases import Case
from featflow.config.errors import FeatflowError
from featflow.data.token_text import texts
from featflow.data.tokens import Tokens
from featflow.features import rule
from featflow.features.columns import columns, documents, within
from featflow.features.probe import Probe, firings
from featflow.plan.stages.analysis import CaseSlice

ASKED = "asked for by its number"

SEEDED = "living, and found by a reseed at r > {threshold:g}"

LIVING = "living; the model has no reseed"

NOT_SEEDED = "living; no reseed finds one that fires on the tokens"
"""What a feature was chosen among."""


class Marks(NamedTuple):
    """S, and what it is made of."""

    rows: np.ndarray
    """(T,) bool."""
    ids: list[int]
    """The token ids in S, ascending."""
    texts: list[str]
    """The tokens' texts without the spaces around them; of a `text` that text."""


@dataclass(frozen=True)
class Chosen:
    """The feature, what it marks, and what else was there."""

    feature: int
    marks: Marks
    counts: Counts
    """Of all features of the model."""
    ranking: list[int]
    """The candidates that fire on S, by F1; the chosen feature first."""
    choice: dict[str, Any]
    """How it was chosen: rule, candidates (how many), living, reseeded (of the living)."""
    best: int
    """The living feature with the best F1, whether or not it was chosen."""
    reseeds: pd.DataFrame = field(default_factory=pd.DataFrame)
    """r of each feature (index) with its best partner in each reseed (columns)."""
    partners: pd.DataFrame = field(default_factory=pd.DataFrame)
    """The numbers of these partners; −1: there is none."""

    def reseeds_of(self, feature: int) -> dict[str, float]:
        """r with each reseed's best partner; NaN where there is none. Empty: no reseeds."""
        if feature not in self.reseeds.index:
            return dict.fromkeys(self.reseeds.columns, float("nan"))
        return {str(name): r for name, r in self.reseeds.loc[feature].to_dict().items()}

    def partners_of(self, feature: int) -> dict[str, int]:
        """The best partner in each reseed that has one."""
        if feature not in self.partners.index:
            return {}
        found = self.partners.loc[feature].fillna(-1).to_dict()
        return {str(name): int(partner) for name, partner in found.items() if partner >= 0}

    def reseed_r(self, feature: int) -> float:
        """The mean of these over the reseeds that have a partner; NaN where none has."""
        known = [r for r in self.reseeds_of(feature).values() if not np.isnan(r)]
        return float(np.mean(known)) if known else float("nan")


def choose(
    cfg: CaseSlice,
    matrices: list[csr_array],
    probe: Probe,
    tokenizer: Tokenizer,
    shares: Path | None,
    where: str,
) -> Chosen:
    """The feature of a case.

    Args:
        cfg: the case.
        matrices: the activations of its model on each corpus.
        probe: the rows.
        tokenizer: of the study.
        shares: the model's SAE compared with its reseeds; None where there are none.
        where: what messages call the query.

    Raises:
        FeatflowError: when the tokens are not in the vocabulary or never on the probe, when no
            living feature fires on them, or when the feature asked for never fires.
        ArtifactError: when the shares are unreadable.
    """
    seeded, partners = (
        reseeds(cfg, shares) if shares is not None else (pd.DataFrame(), pd.DataFrame())
    )
    if cfg.settings.feature is not None:
        return _asked(cfg, matrices, probe, tokenizer, (seeded, partners), f"{where}.feature")
    found = marks(cfg.settings, probe, tokenizer, where)
    counts = evidence.count(matrices, probe.split(found.rows))
    alive = alive_at_home(cfg, matrices, probe)
    again = _found_again(seeded, len(alive), cfg.flow.threshold) & alive
    best = counts.ranked(alive, 1)
    ranking, rule, among = counts.ranked(again, len(again)), SEEDED, again
    if not ranking:
        ranking, among = counts.ranked(alive, len(alive)), alive
        rule = NOT_SEEDED if cfg.reseeds else LIVING
    if not ranking:
        raise FeatflowError(
            f"{where}: of the {int(alive.sum()):,} living features of {cfg.model}.{cfg.sae} none "
            f"fires on {', '.join(map(repr, found.texts))}; a larger SAE "
            f"(saes.{cfg.sae}.expansion) may have one; or lower flow.min_firings and "
            "flow.min_documents"
        )
    choice = {
        "rule": rule.format(threshold=cfg.flow.threshold),
        "candidates": int(among.sum()),
        "living": int(alive.sum()),
        "reseeded": int(again.sum()) if cfg.reseeds else None,
    }
    return Chosen(ranking[0], found, counts, ranking, choice, best[0], seeded, partners)


def _asked(
    cfg: CaseSlice,
    matrices: list[csr_array],
    probe: Probe,
    tokenizer: Tokenizer,
    again_found: tuple[pd.DataFrame, pd.DataFrame],
    where: str,
) -> Chosen:
    """The feature that is asked for by number, and the token that is most typical of it."""
    assert cfg.settings.feature is not None
    number, width = int(cfg.settings.feature.split("/")[1]), matrices[0].shape[1]
    values = firings(matrices, [number])[number].dense(len(probe))
    if not (values > 0).any():
        last = f"; the last that does is {cfg.model}/{width - 1}" if number >= width else ""
        raise FeatflowError(
            f"{where}: {cfg.settings.feature} of SAE {cfg.sae} never fires on the probe{last}. "
            f"features/{cfg.model}/{cfg.sae}/summary.parquet says which features do"
        )
    found = typical(values, probe, tokenizer)
    counts = evidence.count(matrices, probe.split(found.rows))
    alive = alive_at_home(cfg, matrices, probe)
    seeded, partners = again_found
    again = _found_again(seeded, len(alive), cfg.flow.threshold) & alive
    living_ones = counts.ranked(alive, len(alive))
    ranking = [f for f in living_ones if f != number]
    choice = {
        "rule": ASKED,
        "candidates": 1,
        "living": int(alive.sum()),
        "reseeded": int(again.sum()) if cfg.reseeds else None,
    }
    best = living_ones[0] if living_ones else number
    return Chosen(number, found, counts, [number, *ranking], choice, best, seeded, partners)


def alive_at_home(cfg: CaseSlice, matrices: list[csr_array], probe: Probe) -> np.ndarray:
    """Which features are neither silent nor rare on the model's home: (m,) bool.

    The home is what the model and its ancestors were trained on, as far as the probe has it, with
    equally many rows a corpus; the whole probe where none of it is there.
    """
    home = _corpora(cfg, cfg.model) & set(probe.corpora) or set(probe.corpora)
    inside = [
        (m, d)
        for c, m, d in zip(probe.corpora, matrices, probe.split(probe.documents), strict=True)
        if c in home
    ]
    size = min(matrix.shape[0] for matrix, _ in inside)
    fired = np.zeros(matrices[0].shape[1], np.int64)
    found_in = np.zeros_like(fired)
    for matrix, document in inside:
        taken = within(columns(matrix), range(size))
        fired += taken.firings
        found_in += documents(taken, document)
    found: np.ndarray = rule.alive(fired, found_in, cfg.flow.min_firings, cfg.flow.min_documents)
    return found


def _corpora(cfg: CaseSlice, model: str) -> set[str]:
    node = cfg.models[model]
    parents = [p for p in node.parents if p in cfg.models]
    return {*node.corpora, *(c for p in parents for c in _corpora(cfg, p))}


def reseeds(cfg: CaseSlice, shares: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """r of each feature (index) with its best partner in each reseed (columns), and that partner.

    (NaN and −1: there is none.) Judged on `flow.scope`, which of a model with itself is always its
    home.

    Raises:
        ArtifactError: when the table cannot be read.
    """
    table = load_table(shares, "a", "b", "domain", "side", "feature", "r", "partner")
    mine = (table["a"] == cfg.sae) & (table["side"] == "a") & (table["domain"] == cfg.flow.scope)
    table = table[mine & table["b"].isin(cfg.reseeds)]
    if missing := sorted(set(cfg.reseeds) - set(table["b"])):
        raise ArtifactError(
            f"{shares}: it compares {cfg.sae} with no {', '.join(missing)}; "
            f"{rebuild(named(shares))}"
        )
    r, partner = (
        table.pivot(index="feature", columns="b", values=what).reindex(columns=cfg.reseeds)
        for what in ("r", "partner")
    )
    return r, partner


def _found_again(seeded: pd.DataFrame, size: int, threshold: float) -> np.ndarray:
    """Which features have a partner above the threshold in any reseed: (size,) bool."""
    if seeded.empty:
        return np.zeros(size, bool)
    found: np.ndarray = rule.above(seeded.reindex(range(size)), threshold).any(axis=1)
    return found


def marks(case: Case, probe: Probe, tokenizer: Tokenizer, where: str) -> Marks:
    """S for a case that gives tokens or a text.

    Args:
        case: the case.
        probe: its rows.
        tokenizer: of the study.
        where: the key of the case, for messages.

    Raises:
        FeatflowError: when a token is not in the vocabulary, or S is empty.
    """
    if case.tokens is not None:
        ids = token_ids(case.tokens, tokenizer, where)
        rows, asked = np.isin(probe.tokens, ids), [normal(text) for text in case.tokens]
    else:
        assert case.text is not None  # the config asks for one of the three
        rows, asked = _in_text(case.text, probe, tokenizer), [case.text]
        ids = np.unique(probe.tokens[rows]).tolist()
    if not rows.any():
        said = ", ".join(map(repr, asked))
        raise FeatflowError(
            f"{where}: {said} never occurs on the probe ({len(rows):,} tokens of "
            f"{', '.join(probe.corpora)}); ask for something else, or for a larger probe "
            "(probe.tokens_per_corpus)"
        )
    return Marks(rows, ids, list(dict.fromkeys(asked)))


def typical(values: np.ndarray, probe: Probe, tokenizer: Tokenizer) -> Marks:
    """S for a feature: the rows of the token that it fires on most, with or without spaces.

    Args:
        values: (T,) its activations; it fires somewhere.
        probe: its rows.
        tokenizer: of the study.
    """
    known = np.array(vocabulary(tokenizer), dtype=object)
    fired = np.bincount(probe.tokens[values > 0], minlength=len(known))
    different, index = np.unique(known, return_inverse=True)
    text = different[np.bincount(index, weights=fired).argmax()]
    ids = np.flatnonzero(known == text)
    rows = np.isin(probe.tokens, ids)
    return Marks(rows, np.unique(probe.tokens[rows]).tolist(), [str(text)])


def normal(text: str) -> str:
    """A token's text without the whitespace around it; of whitespace alone, all of it."""
    return text.strip() or text


def vocabulary(tokenizer: Tokenizer) -> list[str]:
    """The text of every token by id, without the whitespace around it."""
    return [normal(text) for text in texts(tokenizer)]


def token_ids(asked: Sequence[str], tokenizer: Tokenizer, where: str) -> list[int]:
    """The ids of all tokens whose text is one of these, with or without spaces around it.

    Raises:
        FeatflowError: naming the closest tokens, for a text that is no token.
    """
    known = vocabulary(tokenizer)
    wanted = {normal(text) for text in asked}
    if missing := sorted(wanted - set(known)):
        raise FeatflowError("\n".join(_unknown(text, known, tokenizer, where) for text in missing))
    return [i for i, text in enumerate(known) if text in wanted]


def _unknown(text: str, known: list[str], tokenizer: Tokenizer, where: str) -> str:
    close = difflib.get_close_matches(text, sorted(set(known)), n=5, cutoff=0.5)
    cut = [known[i] for i in tokenizer.encode(text, add_special_tokens=False).ids]
    return (
        f"{where}: {text!r} is no token of the vocabulary"
        + (f"; the closest are {', '.join(map(repr, close))}" if close else "")
        + f". The tokenizer cuts it into {' + '.join(map(repr, cut))}; `text: {text!r}` finds "
        "where these stand together"
    )


def _in_text(text: str, probe: Probe, tokenizer: Tokenizer) -> np.ndarray:
    """The rows whose token has a part in an occurrence of a text: (T,) bool."""
    text = unicodedata.normalize("NFC", text)  # as the documents are
    parts = []
    for tokens, positions in zip(probe.streams, probe.split(probe.positions), strict=True):
        inside = np.zeros(len(tokens.ids), bool)
        read = int(positions[-1]) + 1 if len(positions) else 0
        for start, stop in _holding(text, tokens, read, tokenizer):
            inside[start:stop] = occurrences(text, tokens.ids[start:stop], tokenizer)
        parts.append(inside[positions])
    return np.concatenate(parts)


def _holding(text: str, tokens: Tokens, read: int, tokenizer: Tokenizer) -> list[tuple[int, int]]:
    """The documents that begin before `read` and hold the text, as stretches of the stream."""
    ends = [*tokens.document_starts[1:].tolist(), len(tokens.ids)]
    documents = [d for d in zip(tokens.document_starts.tolist(), ends, strict=True) if d[0] < read]
    decoded = tokenizer.decode_batch(
        [tokens.ids[start:stop].tolist() for start, stop in documents], skip_special_tokens=False
    )
    return [place for place, whole in zip(documents, decoded, strict=True) if text in whole]


def occurrences(text: str, ids: np.ndarray, tokenizer: Tokenizer) -> np.ndarray:
    """Which tokens of a document have a part in an occurrence of a text: (N,) bool.

    The text is looked for in the decoded document, however the tokenizer cut it there: with a space
    before it or without, at a document's start or in a longer word. A token that has a part in an
    occurrence counts whole; so does each token of a character that is spread over several.
    """
    stream, pieces = DecodeStream(skip_special_tokens=False), []
    firsts, lasts, at = np.zeros(len(ids), np.int64), np.zeros(len(ids), np.int64), 0
    waiting = 0  # the first token of a character that is not whole yet
    for i, token in enumerate(ids.tolist()):
        piece = stream.step(tokenizer, token)
        if piece is None:
            continue
        pieces.append(piece)
        firsts[waiting : i + 1], lasts[waiting : i + 1] = at, at + len(piece)
        at, waiting = at + len(piece), i + 1
    firsts[waiting:] = lasts[waiting:] = at  # of a character that the stream cuts off
    whole, found = "".join(pieces), np.zeros(len(ids), bool)
    place = whole.find(text)
    while place >= 0:
        begin = np.searchsorted(lasts, place, side="right")
        found[begin : np.searchsorted(firsts, place + len(text))] = True
        place = whole.find(text, place + 1)
    return found
