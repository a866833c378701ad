"""How much work a job is, from its slice: the number that its time grows with.

Work is counted in floating-point operations (FLOP) where a model is computed, else as said below.
Of a language model with h hidden, l layers, context L, P parameters in its layers, V entries:

- a token forward costs 2 (P + V h) + 4 l L h: all matrices once, and attention's two products;
  forward and backward cost three times that. Up to a hook the V h are left out, and the blocks
  behind it.
- train, finetune: 3 × forward × tokens of a pass × epochs; every corpus gives as many tokens as the
  shortest one does.
- sweep: forward × points × the parents' selection tokens; evaluate: forward × validation tokens;
  both at most `evaluation.tokens` a corpus.
- merge: bytes of weights read. pretrained: the same.
- activations: forward up to the hook, of all blocks that the shard's windows are cut from.
- sae: 10 n m a token visit (n inputs, m features: five products, forward and backward).
- metrics: three forward passes and 4 n m, a token.
- features: forward up to the hook of all blocks, and 2 n m a row of the probe.
- correlation: for each matrix rows × L0² (pairs that fire together) and 16 m_a m_b.
- shares: the same for each pair of SAEs (those compared everywhere: twice). dashboards: the same
  for every other model.
- transfer: two forward passes up to the hook, and 8 n m a row.
- corpus, tokenizer, tokens: bytes of text. All others: 1.

What is there is measured (the tokens of a built file), the rest is estimated as for the disk
(commands/disk.py).
"""

from pathlib import Path

from safetensors import SafetensorError, safe_open

from featflow.commands.disk import TOKEN_BYTES, TYPICAL_L0, Estimator, Unknown, text_bytes
from featflow.data.windows import layout
from featflow.plan import paths
from featflow.plan import slices as kinds
from featflow.plan.slicer import Slices
from featflow.plan.slices import Slice

TYPICAL_VOCABULARY = 32_000
"""Of a tokenizer that is not here yet: that of the paper's."""
TRAINING = 3
"""Forward and backward, in forward passes."""


class Work:
    """The work of the jobs of one study."""

    def __init__(self, slices: Slices):
        self.slices, self.study = slices, slices.study
        self.sizes = Estimator(slices)

    def of(self, cfg: Slice) -> float:
        """The work of a job with this slice.

        Raises:
            Unknown: when it cannot be known before something else is there.
        """
        for kind, count in self._counts.items():
            if isinstance(cfg, kind):
                return max(1.0, count(self, cfg))
        return 1.0

    def forward(
        self,
        model: str,
        context: int | None = None,
        head: bool = True,
        hook: str | None = None,
    ) -> float:
        """FLOP of a token through a model, or up to a hook.

        Args:
            model: its name.
            context: tokens of a block (None: the study's).
            head: whether the predictions are computed.
            hook: where it ends, before them (None: behind the last block).

        Raises:
            Unknown: when the model's size is.
        """
        shape, vocabulary = self.sizes.shape(model), self.sizes.vocabulary() or TYPICAL_VOCABULARY
        length = context or self.slices.windows().context_length
        embeddings, head = 2 * vocabulary * shape.hidden, head and hook is None
        depth = 1.0 if hook is None else shape.depth(hook)
        if shape.architecture is None:
            total = (shape.weights or 0) / shape.weight
            return 2 * (depth * max(0.0, total - embeddings) + head * embeddings / 2)
        layers, tied = shape.architecture.layers, shape.architecture.tied
        inner = shape.parameters(vocabulary) - embeddings / (2 if tied else 1)
        attention = 4 * layers * length * shape.hidden
        return depth * (2 * inner + attention) + head * embeddings

    def tokens(self, corpus: str, split: str) -> float:
        """Tokens of a split: of the file where it is there, else an estimate.

        Raises:
            Unknown: for a corpus of the hub without limits.
        """
        path = Path(paths.TOKENS.at(study=self.slices.name, corpus=corpus, split=split))
        try:
            with safe_open(path, framework="numpy") as file:
                return file.get_slice("input_ids").get_shape()[0]
        except (OSError, SafetensorError):
            pass
        source = self.study.corpora[corpus]
        shares = {"validation": source.validation, "selection": source.selection}
        share = shares.get(split, 1 - sum(shares.values()))
        limit = source.tokens if split == "train" else None
        try:
            found = text_bytes(corpus, source) * share / TOKEN_BYTES
        except Unknown:
            if limit is None:
                raise
            return limit
        return min(found, limit or found)

    def _at_most(self, limit: float, corpus: str, split: str) -> float:
        """Tokens of a split, or the limit where that is less, or nobody knows yet."""
        try:
            return min(limit, self.tokens(corpus, split))
        except Unknown:
            return limit

    def _corpus(self, cfg: kinds.CorpusSlice) -> float:
        return text_bytes(cfg.corpus, cfg.source)

    def _tokenizer(self, cfg: kinds.TokenizerSlice) -> float:
        corpora = self.study.corpora
        return sum(text_bytes(c, corpora[c]) for c in self.slices.tokenizer_corpora())

    def _tokens(self, cfg: kinds.TokensSlice) -> float:
        return TOKEN_BYTES * self.tokens(cfg.corpus, cfg.split)

    def _even(self, corpora: list[str]) -> float:
        return len(corpora) * min(self.tokens(c, "train") for c in corpora)

    def _train(self, cfg: kinds.TrainSlice) -> float:
        seen = self._even(list(cfg.corpora)) * cfg.training.epochs
        return TRAINING * seen * self.forward(cfg.model, cfg.architecture.context)

    def _finetune(self, cfg: kinds.FinetuneSlice) -> float:
        seen = self._even(list(cfg.corpora)) * cfg.training.epochs
        return TRAINING * seen * self.forward(cfg.model, cfg.context)

    def _sweep(self, cfg: kinds.SweepSlice) -> float:
        corpora = {corpus for own in cfg.corpora for corpus in own}
        seen = sum(self._at_most(cfg.tokens, c, "selection") for c in corpora)
        return cfg.points * seen * self.forward(cfg.model, cfg.context)

    def _evaluate(self, cfg: kinds.EvaluateSlice) -> float:
        seen = sum(self._at_most(cfg.tokens, c, "validation") for c in cfg.corpora)
        return seen * self.forward(cfg.model, cfg.context)

    def _weights(self, cfg: kinds.MergeSlice | kinds.PretrainedSlice) -> float:
        models = len(cfg.parents) if isinstance(cfg, kinds.MergeSlice) else 1
        return models * self.sizes.model(cfg.model)

    def _blocks(self, windows: kinds.Windows, rows: float) -> float:
        """Tokens that the LM reads for so many rows of windows."""
        shape = layout(windows)
        return rows * shape.block / (shape.windows * windows.window)

    def _activations(self, cfg: kinds.ActivationsSlice) -> float:
        read = self._blocks(cfg.windows, cfg.tokens)
        return read * self.forward(cfg.model, cfg.windows.context_length, hook=cfg.hook)

    def _sae(self, cfg: kinds.SaeSlice) -> float:
        n = self._width(cfg.model, cfg.settings.hook)
        return 10 * n * n * cfg.settings.expansion * cfg.settings.tokens

    def _width(self, model: str, hook: str) -> int:
        width = self.sizes.shape(model).width(hook)
        if width is None:
            raise Unknown(f"the width of {hook}")
        return width

    def _metrics(self, cfg: kinds.MetricsSlice) -> float:
        n, m = self.sizes.width(cfg.model, cfg.sae), self.sizes.features((cfg.model, cfg.sae))
        seen = sum(self._at_most(cfg.tokens, c, "validation") for c in cfg.corpora)
        return seen * (3 * self.forward(cfg.model) + 4 * n * m)

    def rows(self, corpus: str) -> float:
        """Rows of the probe."""
        most, a_row = self.study.probe.tokens_per_corpus, self._blocks(self.slices.windows(), 1)
        return self._at_most(most * a_row, corpus, "validation") / a_row

    def dump_bytes(self, sae: str, corpora: list[str]) -> float:
        """Bytes of the feature activations of an SAE on the probe."""
        fired = self.study.saes[sae].l0 or TYPICAL_L0
        return sum(map(self.rows, corpora)) * (16 + 8 * fired)

    def _features(self, cfg: kinds.FeaturesSlice) -> float:
        n, m = self.sizes.width(cfg.model, cfg.sae), self.sizes.features((cfg.model, cfg.sae))
        rows = sum(min(cfg.tokens_per_corpus, self.rows(c)) for c in cfg.corpora)
        read = self._blocks(cfg.windows, rows)
        return read * self.forward(cfg.model, hook=cfg.hook) + rows * 2 * n * m

    def _correlation(self, cfg: kinds.CorrelationSlice) -> float:
        sides = [cfg.a.split("."), cfg.b.split(".")]
        m_a, m_b = (self.sizes.features(tuple(side)) for side in sides)
        fired = [self.study.saes[sae].l0 or TYPICAL_L0 for _, sae in sides]
        scopes = [cfg.scope_a] if cfg.scope_a == cfg.scope_b else [cfg.scope_a, cfg.scope_b]
        rows = sum(len(scope) * min(map(self.rows, scope)) for scope in scopes)
        return rows * fired[0] * fired[1] + 16 * m_a * m_b * len(scopes)

    def _pairs(self, rows: float, a: str, b: str, m: int) -> float:
        """The work of correlating two SAEs of m features on so many rows."""
        fired = [self.study.saes[sae].l0 or TYPICAL_L0 for sae in (a, b)]
        return rows * fired[0] * fired[1] + 16 * m * m

    def _shares(self, cfg: kinds.SharesSlice) -> float:
        rows, m = sum(map(self.rows, cfg.corpora)), self.sizes.features((cfg.parent, cfg.sae))
        every = [*cfg.pairs, *cfg.everywhere]
        return sum(self._pairs(rows, a, b, m) for a, b in every)

    def _dashboards(self, cfg: kinds.DashboardsSlice) -> float:
        rows, m = sum(map(self.rows, cfg.corpora)), self.sizes.features((cfg.model, cfg.sae))
        return len(cfg.models) * self._pairs(rows, cfg.sae, cfg.sae, m)

    def _transfer(self, cfg: kinds.TransferSlice) -> float:
        n, m = self.sizes.width(cfg.child, cfg.sae), self.sizes.features((cfg.child, cfg.sae))
        rows = sum(min(cfg.tokens_per_corpus, self.rows(c)) for c in cfg.corpora)
        read = self._blocks(cfg.windows, rows)
        return 2 * read * self.forward(cfg.child, hook=cfg.hook) + rows * 8 * n * m

    _counts = {
        kinds.CorpusSlice: _corpus,
        kinds.TokenizerSlice: _tokenizer,
        kinds.TokensSlice: _tokens,
        kinds.TrainSlice: _train,
        kinds.FinetuneSlice: _finetune,
        kinds.SweepSlice: _sweep,
        kinds.EvaluateSlice: _evaluate,
        kinds.MergeSlice: _weights,
        kinds.PretrainedSlice: _weights,
        kinds.ActivationsSlice: _activations,
        kinds.SaeSlice: _sae,
        kinds.MetricsSlice: _metrics,
        kinds.FeaturesSlice: _features,
        kinds.CorrelationSlice: _correlation,
        kinds.SharesSlice: _shares,
        kinds.DashboardsSlice: _dashboards,
        kinds.TransferSlice: _transfer,
    }
