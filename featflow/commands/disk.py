"""How much disk a study needs: an estimate from its config alone, of every file under results/.

What goes into it, in bytes, per file unless it says otherwise:

- corpus: the text's UTF-8 bytes × `STORED` (zstd), as its kind knows them (data/corpora); no more
  than `bytes` and `documents` allow.
- tokens: text / `TOKEN_BYTES` (at most the corpus's `tokens`) × 4, int32.
- models: parameters × 4, float32; a Mistral has vocabulary × hidden × 2 (× 1 if tied), and a layer
  2 hidden² + 2 hidden² × kv_heads / heads + 3 hidden × intermediate + 2 hidden, and hidden at its
  end. A pretrained one and its descendants: its weight files, where they lie on this machine.
- activations: distinct tokens of a model's shards × n × 2, bfloat16, n the width of the hook.
- sae: (2 n m + n + m) × 4 with m = expansion × n.
- features: for each probe corpus T × (8 + 8 + L0 × (4 + 4)): a row's index pointer and position
  are int64, its features int32 and float32. L0 is the sparsity's; where that has an l1 it is
  `TYPICAL_L0`.
- correlation: m_a × m_b × 4 (twice where the two sides are judged on different corpora; with a
  `flow.floor` m_a × `KEPT` / floor × 8 instead), and (m_a + m_b) × partners × `PARTNER_ROW`.
- controls: best partners, for each pair of SAEs, domain and side m × `SHARES_ROW`.
- explorer: m × contexts × their tokens × models × `SHOWN_TOKEN`.
- figures: `FIGURE` each, by format; `REPORT` for the report.

What cannot be known before it is there is named as not counted. Checkpoints, logs and the hub's own
cache are not in it either. On the shipped studies the estimate is within 15 % of what `du` finds.
"""

from collections.abc import Iterable
from typing import NamedTuple

from featflow.commands.sizes import TYPICAL_L0, StudySizes, Unknown
from featflow.data.windows import layout
from featflow.plan.slicer import Slices
from featflow.plan.stages.analysis import SharesSlice, shares_slice
from featflow.plan.stages.data import TOKEN_BYTES
from featflow.plan.stages.features import correlation_slice
from featflow.plan.stages.models import sweep_slice
from featflow.plan.stages.saes import activations_slice

STORED = 0.3
"""A parquet's bytes for a byte of text: 0.25 to 0.42 on the shipped studies."""
PARTNER_ROW = 30
KEPT = 0.75
"""Pairs a feature with |r| ≥ floor, times the floor: 0.4 to 0.8 on the shipped studies."""
SHARES_ROW = 20
SHOWN_TOKEN = 4.5
"""A token's id, or its activation, in a feature's page."""
FIGURE = {"html": 4_900_000, "svg": 200_000, "png": 200_000, "pdf": 200_000}
"""plotly's own code is in every .html."""
REPORT = 5_100_000


class Estimate(NamedTuple):
    """Bytes by stage, and what is not counted."""

    parts: dict[str, int]
    unknown: list[str]

    @property
    def total(self) -> int:
        """All parts together."""
        return sum(self.parts.values())


def estimate(slices: Slices) -> Estimate:
    """The disk that all targets of a study take together (see the module)."""
    return Estimator(slices).estimate()


class Estimator:
    """Sizes of the files of a study; those that nobody knows yet are 0 and noted in `unknown`."""

    def __init__(self, slices: Slices):
        self.slices, self.study, self.lineage = slices, slices.study, slices.lineage
        self.sizes = StudySizes(slices)
        self.unknown = self.sizes.unknown

    def estimate(self) -> Estimate:
        """All parts."""
        parts = {
            "corpus": self._text() * STORED,
            "tokens": self._tokens(),
            "models": self._each(self.sizes.model, self.study.models),
            "activations": self._each(self._shards, self.study.models),
            "sae": self._each(self._sae, self.lineage.dictionaries()),
            "features": self._each(self._dumps, self.lineage.dictionaries()),
            "correlation": self._each(self._matrix, self.lineage.pairs_of_all()),
            "controls": self._each(self._shares, self._compared()),
            "explorer": self._each(self._pages, self._explored()),
            "figures": self._figures(),
        }
        return Estimate({k: round(v) for k, v in parts.items() if v}, list(self.unknown))

    def _each(self, of, things: Iterable) -> float:
        return sum(self._known(of, thing) for thing in things)

    def _known(self, of, *arguments) -> float:
        """What a function returns; 0, and noted, where it cannot know."""
        try:
            return of(*arguments)
        except Unknown as what:
            self.unknown[str(what)] = None
            return 0

    def _text(self) -> float:
        return sum(self._known(self.sizes.text, name) for name in self.study.corpora)

    def _tokens(self) -> float:
        swept = {
            c for m in self.study.swept for own in sweep_slice(self.slices, m).corpora for c in own
        }
        total = 0.0
        for name, corpus in self.study.corpora.items():
            found = self._known(self.sizes.text, name) / TOKEN_BYTES
            train = found * (1 - corpus.validation - corpus.selection) or corpus.tokens or 0
            selection = corpus.selection if name in swept else 0
            held_out = found * (corpus.validation + selection)
            total += 4 * (min(train, corpus.tokens or train) + held_out)
        return total

    def _shards(self, model: str) -> float:
        saes = [s for s in self.study.saes if model in self.lineage.sae_models(s)]
        saes = [s for s in saes if not self.slices.makes_its_own(s)]
        total = 0.0
        for hook in dict.fromkeys(self.study.saes[s].hook for s in saes):
            using = [s for s in saes if self.study.saes[s].hook == hook]
            shards = max((self.slices.shards(s) for s in using), key=len)
            tokens = sum(activations_slice(self.slices, model, hook, i).tokens for i in shards)
            total += 2 * tokens * self.sizes.width(model, using[0])
        return total

    def _sae(self, dictionary) -> float:
        n, m = self.sizes.width(*dictionary), self.sizes.features(dictionary)
        return 4 * (2 * n * m + n + m)

    def _dumps(self, dictionary) -> float:
        l0 = self.study.saes[dictionary.sae].l0
        if l0 is None:
            self.unknown[f"more than {TYPICAL_L0} features a token (l1 is set, L0 is guessed)"] = (
                None
            )
        a_row = 16 + 8 * (l0 or TYPICAL_L0)
        return a_row * sum(map(self._probe_rows, self.study.probe_corpora))

    def _probe_rows(self, name: str) -> int:
        """Rows of the probe: no more than the validation split gives, where that is known."""
        corpus, asked = self.study.corpora[name], self.study.probe.tokens_per_corpus
        shape = layout(self.slices.windows())
        share = shape.windows * self.study.activations.window / shape.block
        held_out = self._known(self.sizes.text, name) / TOKEN_BYTES * corpus.validation
        return min(asked, round(held_out * share)) if held_out else asked

    def _matrix(self, pair) -> float:
        a, b = self.sizes.features(pair.a), self.sizes.features(pair.b)
        cfg = correlation_slice(self.slices, str(pair.a), str(pair.b))
        matrices = 1 if cfg.scope_a == cfg.scope_b else 2
        matrix = 4 * a * b if cfg.floor is None else 8 * a * KEPT / cfg.floor
        return matrix * matrices + (a + b) * self.study.flow.partners * PARTNER_ROW

    def _compared(self) -> list[SharesSlice]:
        saes = self.study.flow_saes
        pairs = [(sae, pair) for sae in saes for pair in self.slices.compared(sae)]
        return [shares_slice(self.slices, sae, pair.parent, pair.child) for sae, pair in pairs]

    def _shares(self, cfg: SharesSlice) -> float:
        rows = len(cfg.pairs) + len(cfg.everywhere) * (len(cfg.domains) - 1 + cfg.shift)
        return 2 * rows * self.sizes.features((cfg.parent, cfg.sae)) * SHARES_ROW

    def _explored(self) -> list[tuple[str, str]]:
        return [(m, s) for s, models in self.slices.explored().items() for m in models]

    def _pages(self, dictionary) -> float:
        others, settings = len(self.slices.explored()[dictionary[1]]), self.study.explorer
        assert settings is not None
        contexts = settings.top + settings.intervals * settings.per_interval
        shown = contexts * 1.5 * settings.around * (1 + others) * SHOWN_TOKEN
        return self.sizes.features(dictionary) * shown

    def _figures(self) -> float:
        return len(self.study.drawn) * sum(FIGURE[f] for f in self.study.figures.formats) + REPORT
