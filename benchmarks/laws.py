"""What the cost of every stage grows with: the law of its algorithm, and where it is tried.

T is the tokens (of all corpora), n the width of the hook, m the features of an SAE, L0 those that
fire at a token; P the parameters of the model's layers, V h those of its output embeddings, L the
context. A token forward is F = 2 (P + V h) + 4 L h FLOP, without V h where a hook ends it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.inputs import Size
from benchmarks.making import TEXT_BYTES

Term = Callable[[Size], float]


@dataclass(frozen=True)
class Law:
    """Seconds = start + Σ constant × term, tried along some axes."""

    terms: Mapping[str, Term]
    """What it grows with, by the words of the table; the constants are fitted."""
    base: Size
    axes: Mapping[str, tuple[int, int]]
    """A field of `Size` and its middle and large value; the base has the small one."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of the function that makes the inputs."""

    def points(self) -> dict[tuple[str, int], Size]:
        """All sizes that are measured: ("", 0) the base, (axis, 1 or 2) the others."""
        found = {("", 0): self.base}
        for axis, values in self.axes.items():
            for place, value in enumerate(values, 1):
                found[axis, place] = self._at(axis, value)
        return found

    def _at(self, axis: str, value: int) -> Size:
        if axis != "hidden":
            return replace(self.base, **{axis: value})
        return replace(self.base, hidden=value, width=2 * value)


def tokens(size: Size) -> float:
    """T."""
    return size.corpora * size.tokens


def layers(size: Size) -> float:
    """P: attention (half as many heads of keys and values as of queries) and the gated MLP."""
    return size.layers * size.hidden * (3 * size.hidden + 3 * size.width)


def parameters(size: Size) -> float:
    """Of the whole model, its two embeddings included."""
    return layers(size) + 2 * size.vocabulary * size.hidden


def forward(size: Size, head: bool = True) -> float:
    """F: FLOP of a token."""
    attention = 4 * size.layers * size.context * size.hidden
    return 2 * (layers(size) + head * size.vocabulary * size.hidden) + attention


def read(size: Size) -> float:
    """Tokens that the LM reads for the rows of all corpora."""
    return size.corpora * size.blocks * size.context


def rows(size: Size) -> float:
    """Rows of all corpora."""
    return size.corpora * size.rows


def text(size: Size) -> float:
    """Bytes of text."""
    return TEXT_BYTES * tokens(size)


def pairs(size: Size) -> float:
    """T L0²: pairs of features that fire together, counted with repetition."""
    return rows(size) * size.firing**2


def firings(size: Size) -> float:
    """T L0."""
    return rows(size) * size.firing


def encoder(size: Size) -> float:
    """n m."""
    return size.width * size.features


LM = Size(hidden=128, width=256, context=128, vocabulary=4096)
SAE = Size(hidden=128, width=256, features=1024, firing=30, vocabulary=2048)
PROBE = replace(SAE, corpora=2, tokens=50_000, features=2048)
TRAINED = Law(
    {
        "3 F T": lambda s: 3 * forward(s) * tokens(s),
        "T V": lambda s: tokens(s) * s.vocabulary,
    },
    replace(LM, tokens=50_000),
    {"tokens": (100_000, 200_000), "hidden": (384, 768)},
    {"batch": 32},
)
LAWS: dict[str, Law] = {
    "corpus": Law(
        {"byte of text": text}, Size(tokens=4_000_000), {"tokens": (12_000_000, 24_000_000)}
    ),
    "tokenizer": Law(
        {"byte of text": text, "entry": lambda s: s.vocabulary},
        Size(tokens=250_000, vocabulary=1024),
        {"tokens": (1_000_000, 2_000_000), "vocabulary": (4096, 8192)},
        {"sample": 10**9},
    ),
    "tokens": Law(
        {"byte of text": text},
        Size(tokens=500_000, vocabulary=4096),
        {"tokens": (2_000_000, 4_000_000)},
    ),
    "train": TRAINED,
    "finetune": TRAINED,
    "sweep": Law(
        {"t × F T": lambda s: s.points * forward(s) * tokens(s), "t": lambda s: s.points},
        replace(LM, tokens=20_000),
        {"tokens": (40_000, 80_000), "points": (6, 12), "hidden": (192, 256)},
    ),
    "merge": Law(
        {"parents × parameters": lambda s: parameters(s) * s.models, "parameters": parameters},
        replace(LM, vocabulary=16_000, hidden=512, width=1024),
        {"hidden": (768, 1024), "models": (4, 6)},
    ),
    "evaluate": Law(
        {"F T": lambda s: forward(s) * tokens(s), "T V": lambda s: tokens(s) * s.vocabulary},
        replace(LM, tokens=50_000),
        {"tokens": (100_000, 200_000), "hidden": (384, 768)},
    ),
    "activations": Law(
        {"F T": lambda s: forward(s, head=False) * read(s), "T n": lambda s: rows(s) * s.width},
        replace(LM, tokens=100_000),
        {"tokens": (200_000, 400_000), "hidden": (384, 768)},
    ),
    "sae": Law(
        {"10 n m T": lambda s: 10 * encoder(s) * tokens(s), "T n": lambda s: tokens(s) * s.width},
        replace(SAE, tokens=100_000),
        {"tokens": (200_000, 400_000), "features": (2048, 4096)},
    ),
    "metrics": Law(
        {
            "3 F T": lambda s: 3 * forward(s) * read(s),
            "4 n m T": lambda s: 4 * encoder(s) * rows(s),
            "T V": lambda s: rows(s) * s.vocabulary,
        },
        replace(SAE, tokens=20_000, features=4096),
        {"tokens": (40_000, 80_000), "features": (8192, 16384), "hidden": (384, 768)},
    ),
    "features": Law(
        {
            "F T": lambda s: forward(s, head=False) * read(s),
            "2 n m T": lambda s: 2 * encoder(s) * rows(s),
            "m": lambda s: s.features,
        },
        replace(SAE, tokens=20_000, features=4096),
        {"tokens": (40_000, 80_000), "features": (8192, 16384), "hidden": (384, 768)},
    ),
    "correlation": Law(
        {"T L0²": pairs, "m²": lambda s: s.features**2, "T L0": firings},
        PROBE,
        {"tokens": (200_000, 400_000), "features": (4096, 8192), "firing": (60, 90)},
    ),
    "shares": Law(
        {
            "SAEs × T L0²": lambda s: s.models * pairs(s),
            "SAEs × m²": lambda s: s.models * s.features**2,
        },
        PROBE,
        {"tokens": (100_000, 200_000), "features": (4096, 6144), "models": (4, 6)},
    ),
    "transfer": Law(
        {
            "2 F T": lambda s: 2 * forward(s, head=False) * read(s),
            "8 n m T": lambda s: 8 * encoder(s) * rows(s),
            "T n": lambda s: rows(s) * s.width,
        },
        replace(SAE, tokens=20_000, features=4096),
        {"tokens": (40_000, 80_000), "features": (8192, 16384), "hidden": (384, 768)},
    ),
    "flow": Law(
        {
            "edges × m²": lambda s: s.models * s.features**2,
            "edges × m": lambda s: s.models * s.features,
        },
        replace(PROBE, tokens=5_000, models=4),
        {"features": (4096, 8192), "models": (12, 24)},
    ),
    "controls": Law(
        {"edges × m": lambda s: s.models * s.features, "edges": lambda s: s.models},
        replace(PROBE, tokens=5_000, models=8),
        {"features": (4096, 8192), "models": (24, 48)},
    ),
    "case": Law(
        {
            "models × T L0": lambda s: s.models * firings(s),
            "models × T": lambda s: s.models * rows(s),
        },
        replace(PROBE, tokens=200_000),
        {"tokens": (400_000, 800_000), "models": (4, 6)},
    ),
    "interpret": Law(
        {"T L0": firings},
        replace(PROBE, tokens=200_000),
        {"tokens": (400_000, 800_000)},
    ),
    "dashboards": Law(
        {
            "models × T L0²": lambda s: s.models * pairs(s),
            "m": lambda s: s.features,
            "models × m²": lambda s: s.models * s.features**2,
        },
        PROBE,
        {"tokens": (100_000, 200_000), "features": (4096, 6144), "models": (4, 6)},
    ),
}
