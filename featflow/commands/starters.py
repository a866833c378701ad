"""The studies that `featflow init` writes: templates of YAML in which every key has its comment."""

import json
import re
from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

from featflow.commands.folders import LIMIT, Sample
from featflow.commands.sizing import WINDOW, Sizes
from featflow.commands.terminal import size
from featflow.data.readers import FIELD

WIDTH = 100

PAPER = """
extends: paper  # all that is not said here is as in `paper`, above
seed: 0  # another one repeats the study with other random numbers
activations:  # what the SAEs are trained on
  context: truncated  # the paper's; full: the model reads blocks of its training length
  data: lineage  # the paper's; common: the same text for every model's SAE
  scale: none  # the paper's; unit: an l1 means the same for every model
  tokens: 15_000_000  # distinct tokens a model: about 31 GB of disk each
  keep: true  # false: no shards on the disk, each SAE makes its own
saes:  # sparse autoencoders
  main:  # on every model
    expansion: 16  # features an input: 16 × 1,024 = 16,384
    sparsity: {l1: 3e-4}  # the paper's λ; {l0: 30, l1: null} steers to an L0
    tokens: 15_000_000  # token visits; more make features that a second seed finds again
  reseed:  # a second seed: how many features can be found again at all
    models: [babypython]  # null: for every model, so that each edge has its own ceiling
probe:  # the same tokens for every model
  tokens_per_corpus: 1_500_000  # held-out tokens on which features are compared
flow:  # what counts as the same feature
  threshold: 0.8  # a feature persists if one of the other model has r above this
  scope: intersection  # the paper's common data; home: each model's own data
"""

CORPUS = """
{name}:  # {files}, {there}: {documents:,} documents, {taken} of text are taken
  kind: files  # files of this machine
  paths: {paths}  # globs; ** is any depth
  text: {text}  # the field that holds a document
  bytes: {limit:_}  # at most so much text, drawn from all of it; null: all
  validation: {validation:g}  # share of documents for evaluation and the probe
  selection: {selection:g}  # share of documents to choose a merge's t on
"""

TRAINED_TOKENIZER = """
tokenizer:  # one for all models of the study
  kind: bpe  # a byte-level BPE of the study's own
  corpora: {corpora}  # what it is trained on, in equal parts
  vocabulary: {vocabulary}  # entries
"""

PRETRAINED_TOKENIZER = """
tokenizer:  # one for all models of the study
  kind: pretrained  # one that exists
  name: {model}  # the model's own: they must fit together
"""

BASE = """
{name}:  # where the lineage begins
  kind: base  # a model trained from scratch
  corpora: {corpora}  # what it is trained on
  architecture:  # a small Mistral; larger ones want a GPU
    hidden: 128  # width
    intermediate: 256  # width of the MLP, which the SAEs read
    layers: 1  # as in the paper
    heads: 4  # of attention
    kv_heads: 2  # of its keys and values
    context: {context}  # tokens of a block
  training:  # AdamW
    epochs: {epochs}  # passes over the text
    batch: 32  # blocks of `context` tokens a step
    learning_rate: 2e-3  # at its peak; it falls to 0 along a cosine
    warmup_steps: 50  # steps in which it rises from 0
"""

PRETRAINED = """
{name}:  # where the lineage begins
  kind: pretrained  # a model that exists
  name: {model}  # a folder in Hugging Face's format, or a name on the hub
  corpora: {corpora}  # stands for its training text: its features are judged there
  context: {context}  # tokens of a block, at most the model's longest input
"""

FINETUNE = """
{name}:  # what {parent} becomes when it learns {learns}
  kind: finetune  # a model trained further
  parent: {parent}  # the model that it starts from
  corpora: {corpora}  # what it is trained on
  training:  # AdamW
    epochs: {epochs}  # passes over the text
    batch: 32  # blocks of `context` tokens a step
    learning_rate: {rate}  # at its peak; it falls to 0 along a cosine
    warmup_steps: 20  # steps in which it rises from 0
"""

MERGE = """
{name}:  # {a} and {b} in one
  kind: merge  # a model made of others, without training
  parents: [{a}, {b}]  # of which ones
  method:  # how
    kind: slerp  # along the arc between them, tensor by tensor
    t: {t}
"""

EQUILIBRIUM = "equilibrium  # 0: the first, 1: the second; here: where it is as good on both texts"
BALANCED = "balanced  # 0: the first, 1: the second; here: where both gains are kept best"
"""A model that exists is better at one of the texts, whatever it learns: its merges are compared by
what their parents have gained."""

RANDOM = """
{name}:  # a control: what persists into it is chance, the floor of every share
  kind: random  # a model with random weights
  like: {like}  # of this one's architecture
"""

REST = """
evaluation:  # how models are measured
  tokens: {evaluation:_}  # of each corpus, for loss, accuracy and the SAEs' metrics
activations:  # what the SAEs are trained on: the same text for every model
  window: {window}  # consecutive tokens that stay together
  tokens: {activations:_}  # distinct tokens of a model that its SAEs see
  shard_tokens: {activations:_}  # tokens of a file
saes:  # sparse autoencoders
  main:  # on every model
    kind: relu  # the paper's architecture
    hook: {hook}  # where in the model, by TransformerLens's names
    expansion: {expansion}  # features for each number that the hook carries
    sparsity: {{l0: 20}}  # features that fire at a token, which the penalty is steered to
    tokens: {visits:_}  # token visits; more of them make steadier features
    batch: 32  # windows a step
    learning_rate: 3e-3  # Adam's
    betas: [0.9, 0.999]  # Adam's
    decay: 0.2  # share of the run in which the learning rate falls to 0
  reseed:  # a second seed: how many features can be found again at all
    extends: main  # all else is as in main
    seed: 1  # other random numbers
    control_of: main  # gives the ceiling, and stays out of the flow
    models: [{root}]  # null: for every model
probe:  # the same tokens for every model
  tokens_per_corpus: {probe:_}  # held-out tokens on which features are compared
flow:  # what counts as the same feature
  threshold: 0.8  # a feature persists if one of the other model has r above this
  scope: home  # vanishing is judged on the parent's text, emerging on the child's
interpret:  # explanations of features, and how well they predict
  provider: {{kind: lookup}}  # the tokens that a feature fires on; openai: a language model's
"""


class Root(NamedTuple):
    """A model that exists, which a study starts from."""

    name: str
    hook: str
    expansion: int
    context: int


class Wanted(NamedTuple):
    """The lineage of a study, by the names of corpora."""

    base: list[str]
    """What the root learns, or what stands for what it has learnt."""
    finetunes: list[list[str]]
    """What each fine-tune of it learns."""
    merge: bool
    """Whether the first two fine-tunes are merged."""


def on_folders(
    samples: dict[str, Sample], wanted: Wanted, sizes: Sizes, context: int, root: Root | None
) -> str:
    """A study on folders of text: a root, its fine-tunes, a merge of two of them.

    Args:
        samples: the corpora by name, in the order of the folders.
        wanted: its lineage.
        sizes: its settings.
        context: tokens of a block.
        root: the model that exists; without one, a base is trained.
    """
    names = list(samples)
    if root is not None:
        first = _free("start", names)
    else:
        first = wanted.base[0] if len(wanted.base) == 1 else _free("base", names)
    model = _quoted(root.name) if root else ""
    if root is None:
        tokenizer = TRAINED_TOKENIZER.format(corpora=_listed(names), vocabulary=sizes.vocabulary)
    else:
        tokenizer = PRETRAINED_TOKENIZER.format(model=model)
    rest = REST.format(
        window=WINDOW,
        activations=sizes.activations,
        visits=sizes.visits,
        probe=sizes.probe,
        evaluation=sizes.evaluation,
        root=first,
        hook=root.hook if root else "blocks.0.mlp.hook_post",
        expansion=root.expansion if root else 4,
    )
    return "".join(
        [
            "corpora:  # where documents come from",
            *(_indented(each) for each in _corpora(samples, sizes)),
            tokenizer,
            "models:  # the lineage: each model, and what it came from",
            *(_indented(each) for each in _models(names, wanted, first, sizes, context, model)),
            rest,
        ]
    )


def _corpora(samples: dict[str, Sample], sizes: Sizes) -> Iterable[str]:
    for (name, sample), corpus in zip(samples.items(), sizes.corpora, strict=True):
        number = sample.found.files
        text = CORPUS.format(
            name=name,
            files=f"{number:,} file{'s' if number > 1 else ''}",
            there=size(sample.found.bytes),
            documents=len(sample.texts),
            taken=size(sample.bytes),
            paths=_listed(map(_quoted, sample.found.paths)),
            text=_quoted(sample.found.text),
            limit=LIMIT,
            validation=corpus.validation,
            selection=corpus.selection,
        )
        is_default = sample.found.text == FIELD
        yield re.sub(r"  text: .*\n", "", text) if is_default else text


def _models(
    names: list[str], wanted: Wanted, first: str, sizes: Sizes, context: int, model: str
) -> Iterable[str]:
    """The root, its fine-tunes, their merge, and a model with random weights."""

    def epochs(kind: str, corpora: list[str]) -> float:
        return sizes.epochs(kind, *map(names.index, corpora))

    on = {"name": first, "corpora": _listed(wanted.base), "context": context}
    if model:
        yield PRETRAINED.format(**on, model=model)
    else:
        yield BASE.format(**on, epochs=epochs("base", wanted.base))
    tuned: list[str] = []
    for corpora in wanted.finetunes:
        tuned.append(_free(corpora[0], [first, *tuned]))
        yield FINETUNE.format(
            name=tuned[-1],
            parent=first,
            corpora=_listed(corpora),
            learns=" and ".join(corpora),
            epochs=epochs("finetune", corpora),
            rate="5e-5" if model else "5e-4",
        )
    if wanted.merge:
        name, t = _free("merged", [first, *tuned]), BALANCED if model else EQUILIBRIUM
        yield MERGE.format(name=name, a=tuned[0], b=tuned[1], t=t)
    if tuned:
        yield RANDOM.format(name=_free("random", [first, *tuned]), like=first)


def lines(study: str, head: Iterable[str], template: str, indent: int) -> list[str]:
    """A study's lines: what leads it in, its name, its keys with their comments aligned."""
    lead = " " * indent
    keys = [line for line in template.splitlines() if line.strip()]
    heading = [*(f"{lead}# {line}" for line in head), f"{lead}{study}:"]
    return [*heading, *_aligned([f"{lead}  {line}" for line in keys])]


def _aligned(keys: list[str]) -> list[str]:
    """Comments of neighbouring keys in one column; one that does not fit goes above its key."""
    found = []
    split = [re.fullmatch(r"( *)(.*?)  # (.*)", line) for line in keys]
    cut = [match.groups() for match in split if match]
    for (lead, opens), group in groupby(cut, key=lambda g: (g[0], g[1].endswith(":"))):
        siblings = list(group)
        widths = [len(text) for _, text, comment in siblings if len(text) <= WIDTH // 2]
        column = 0 if opens else max(widths, default=0)
        for _, text, comment in siblings:
            line = f"{lead}{text.ljust(column)}  # {comment}"
            found += [line] if len(line) <= WIDTH else [f"{lead}# {comment}", f"{lead}{text}"]
    return found


def _indented(template: str) -> str:
    return re.sub(r"(?m)^(?=.)", "  ", template).rstrip("\n")


def _free(name: str, taken: list[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}{number}"
    return free


def _listed(values: Iterable[str]) -> str:
    return f"[{', '.join(values)}]"


def _quoted(text: str) -> str:
    """As YAML reads it whatever is in it."""
    return json.dumps(text, ensure_ascii=False)
