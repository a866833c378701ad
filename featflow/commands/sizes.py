"""How large the things of a study are: measured where they are there, else by its config.

Of a language model with h hidden, l layers, context L, P parameters in its layers, V entries a
token forward costs 2 (P + V h) + 4 l L h: all matrices once, and attention's two products. Up to a
hook the V h are left out, and the blocks behind it.
"""

from pathlib import Path

from safetensors import SafetensorError, safe_open

from featflow.commands.widths import Shape, shape_of
from featflow.config import FeatflowError
from featflow.config.corpora import Corpus
from featflow.config.graph import root_of
from featflow.config.tokenizers import Bpe
from featflow.data.corpora import kind_of
from featflow.data.places import local_path
from featflow.data.windows import layout
from featflow.plan import paths
from featflow.plan.slicer import Slices
from featflow.plan.slices import Windows
from featflow.plan.stages.data import TOKEN_BYTES

TYPICAL_L0 = 30
"""The paper's SAEs end between 25 and 35."""
TYPICAL_VOCABULARY = 32_000
"""Of a tokenizer that is not here yet: that of the paper's."""


class Unknown(Exception):
    """Something that is known only when it is there; the message says what."""


class StudySizes:
    """The `Sizes` of plan/stages/spec.py, of one study."""

    def __init__(self, slices: Slices):
        self.slices, self.study = slices, slices.study
        self.assumed: Shape | None = None
        """The shape of a model that only the hub knows; None: it is unknown."""
        self.unknown: dict[str, None] = {}
        """What was counted as nothing, or guessed."""

    def text(self, corpus: str, source: Corpus | None = None) -> float:
        """UTF-8 bytes of a corpus, all splits together.

        Args:
            corpus: its name.
            source: where it is from, if not as the study says.

        Raises:
            Unknown: for a data set of the hub without a limit in bytes.
        """
        source = source or self.study.corpora[corpus]
        found = kind_of(source).text_bytes(source)
        if found is None:
            raise Unknown(f"the text of {source.repository} (corpus {corpus})")
        return min(found, source.bytes or found)

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
            found = self.text(corpus) * share / TOKEN_BYTES
        except Unknown:
            if limit is None:
                raise
            return limit
        return min(found, limit or found)

    def at_most(self, limit: float, corpus: str, split: str) -> float:
        """Tokens of a split, or the limit where that is less, or nobody knows yet."""
        try:
            return min(limit, self.tokens(corpus, split))
        except Unknown:
            return limit

    def rows(self, corpus: str) -> float:
        """Rows of the probe."""
        most, a_row = self.study.probe.tokens_per_corpus, self.read(self.slices.windows(), 1)
        return self.at_most(most * a_row, corpus, "validation") / a_row

    def read(self, windows: Windows, rows: float) -> float:
        """Tokens that the LM reads for so many rows of windows."""
        shape = layout(windows)
        return rows * shape.block / (shape.windows * windows.window)

    def shape(self, model: str) -> Shape:
        """Of the model's root: its descendants have the same."""
        shape = shape_of(self.slices, model) or self.assumed
        if shape is None:
            raise Unknown(f"the size of {getattr(root_of(self.study, model), 'name', model)}")
        return shape

    def model(self, model: str) -> float:
        """Bytes of a model's weights and embeddings."""
        shape = self.shape(model)
        if shape.weights is not None:
            return shape.weights
        vocabulary = self.vocabulary()
        if vocabulary is None:
            name = getattr(self.study.tokenizer, "name", "")
            self.unknown[f"the models' embeddings (the vocabulary of {name})"] = None
        return 4 * shape.parameters(vocabulary or 0) + 60 * (vocabulary or 0)

    def vocabulary(self) -> int | None:
        """Entries of the tokenizer, where they are known."""
        tokenizer = self.study.tokenizer
        if isinstance(tokenizer, Bpe):
            return tokenizer.vocabulary
        made = Path(paths.TOKENIZER.at(study=self.slices.name))
        try:
            found = local_path(tokenizer.name, "name")
        except FeatflowError:
            found = None
        named = found / "tokenizer.json" if found and found.is_dir() else found
        return _entries(made) or (_entries(named) if named else None)

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
        shape, vocabulary = self.shape(model), self.vocabulary() or TYPICAL_VOCABULARY
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

    def hook_width(self, model: str, hook: str) -> int:
        """Numbers at a hook.

        Raises:
            Unknown: where that is known when the model is opened.
        """
        width = self.shape(model).width(hook)
        if width is None:
            raise Unknown(f"what SAEs on {hook} make: its width is known when the model is opened")
        return width

    def width(self, model: str, sae: str) -> int:
        """Inputs of an SAE."""
        return self.hook_width(model, self.study.saes[sae].hook)

    def features(self, dictionary: tuple[str, str]) -> int:
        """Features of a dictionary (model, SAE)."""
        model, sae = dictionary
        return self.study.saes[sae].expansion * self.width(model, sae)

    def l0(self, sae: str) -> float:
        """Features of an SAE that fire at a token, or a guess."""
        return self.study.saes[sae].l0 or TYPICAL_L0

    def dump_bytes(self, sae: str, corpora: list[str]) -> float:
        """Bytes of the feature activations of an SAE on the probe."""
        return sum(map(self.rows, corpora)) * (16 + 8 * self.l0(sae))


def _entries(path: Path) -> int | None:
    """The size of a tokenizer's vocabulary; None for another file."""
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(path)).get_vocab_size()
    except Exception:  # the library raises no narrower class
        return None
