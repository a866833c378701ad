"""What `init` asks of a study is there: held against the real stages' own splits and tokens."""

import pytest

from featflow.commands.folders import Found, Sample, look, read
from featflow.commands.sizing import SURE, TRAINING, rounded, sizes, yields
from featflow.config import FeatflowError
from featflow.config.corpora import Files
from featflow.data.corpus import split
from featflow.plan.stages.data import CorpusSlice
from tests.commands.conftest import prose


@pytest.fixture(scope="module")
def samples(texts):
    return [read(look(f"{texts}/{name}")) for name in ("notes", "talks")]


def test_every_split_holds_what_is_asked_for(samples):
    found = sizes(samples, context=128, swept=True)
    yields_of = yields(samples, found.vocabulary, None)
    largest = {
        name: max(getattr(corpus, name) for corpus in found.corpora)
        for name in ("validation", "selection")
    }
    for sample, corpus, per_token in zip(samples, found.corpora, yields_of, strict=True):
        source = Files(
            kind="files", paths=["*"], validation=corpus.validation, selection=corpus.selection
        )
        cfg = CorpusSlice(study="s", corpus="c", seed=0, source=source, **largest)
        splits = [split(digest, cfg) for digest in sample.digests]
        real = {
            name: sum(n for n, s in zip(sample.sizes, splits, strict=True) if s == name) / per_token
            for name in ("train", "validation", "selection")
        }
        assert splits.count("validation") >= 12 and splits.count("selection") >= 2
        assert corpus.train == pytest.approx(SURE * real["train"], rel=0.02)
        assert corpus.train <= real["train"] and corpus.probe <= real["validation"]
        assert found.probe <= real["validation"] * 96 / 128
        assert real["selection"] >= 2 * 128
    assert found.activations <= sum(c.train for c in found.corpora) * 96 / 128
    assert found.activations <= found.visits <= 12 * found.activations


def test_epochs_give_small_text_more_passes(samples):
    found = sizes(samples, context=128, swept=False)
    visits = found.epochs("base", 0) * found.corpora[0].train
    assert found.epochs("base", 0) == 10 or visits == pytest.approx(TRAINING["base"], rel=0.5)
    assert 1 <= found.epochs("finetune", 1) <= found.epochs("base", 1)


def test_fewer_tokens_for_a_dear_model(samples):
    full = sizes(samples, context=128, swept=False)
    few = full.scaled(0.1)
    assert few.activations == max(min(full.activations, 60_000), 0.1 * full.activations)
    assert few.probe == min(full.probe, 12_000) and few.evaluation == 5_000
    wanted = 0.1 * TRAINING["finetune"] / full.corpora[1].train
    assert few.epochs("finetune", 1) == pytest.approx(wanted, rel=0.5)
    least = full.scaled(0.001)
    assert 0 < least.epochs("finetune", 1) < 1 and least.activations > 0
    both = full.epochs("base", 0, 1) * 2 * min(c.train for c in full.corpora)
    assert both == pytest.approx(TRAINING["base"], rel=0.5) or full.epochs("base", 0, 1) == 10


def test_the_yield_is_that_of_the_tokenizer_given(samples, tokenizer_file):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    one = Sample(samples[0].found, samples[0].texts[:5])
    tokens = sum(
        len(tokenizer.encode(text, add_special_tokens=False).ids) + 1 for text in one.texts
    )
    assert yields([one], 2048, tokenizer_file) == [pytest.approx(one.bytes / tokens)]
    assert yields([one], 2048, tokenizer_file / "gone") == [4.5]


@pytest.mark.parametrize(("documents", "words"), [(39, 400), (100, 20)])
def test_too_little_text(documents, words):
    sample = Sample(
        Found(["a/*.txt"], "text", documents, 0), [prose(i, words) for i in range(documents)]
    )
    with pytest.raises(FeatflowError, match=r"a/\*\.txt.*at least 40 documents and 100 kB"):
        sizes([sample], context=128, swept=False)


def test_rounded():
    assert [rounded(n) for n in (1_234_567, 99_999, 100, 7)] == [1_200_000, 99_000, 100, 7]
