"""The summary of a dictionary against counting by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from tokenizers import Tokenizer, decoders, models

from featflow.data.token_text import marked
from featflow.data.tokens import Tokens
from featflow.features.dump import Dump
from featflow.features.summary import CONTEXTS, Encoded, summarise


@pytest.fixture
def tokenizer(tokenizer_file) -> Tokenizer:
    return Tokenizer.from_file(str(tokenizer_file))


@pytest.fixture
def corpora(activations, token_ids) -> dict[str, Encoded]:
    """Two corpora of documents of 17 tokens; feature 0 never fires."""
    found = {}
    for i, (name, rows) in enumerate((("x", 500), ("y", 300))):
        dense = activations(i, rows, 9, 0.1).toarray()
        dense[:, 0] = 0
        starts = np.arange(0, len(token_ids), 17)
        dump = Dump(csr_array(dense), np.arange(rows) * 2 + 1)
        found[name] = Encoded(dump, Tokens(token_ids, starts))
    return found


def test_counts_and_means(corpora, tokenizer):
    table = summarise(corpora, tokenizer)
    x, y = (corpora[name].dump.activations.toarray().astype(float) for name in "xy")
    both = np.vstack([x, y])
    fires = both > 0
    np.testing.assert_array_equal(table["feature"], np.arange(9))
    np.testing.assert_array_equal(table["firings"], fires.sum(0))
    np.testing.assert_allclose(table["density"], fires.mean(0))
    np.testing.assert_allclose(table["density_x"], (x > 0).mean(0))
    np.testing.assert_allclose(table["density_y"], (y > 0).mean(0))
    np.testing.assert_allclose(table["max"], both.max(0))
    np.testing.assert_allclose(table["mean"][1:], both.sum(0)[1:] / fires.sum(0)[1:])
    assert np.isnan(table["mean"][0])
    documents = np.concatenate(
        [(np.arange(500) * 2 + 1) // 17, 1000 + (np.arange(300) * 2 + 1) // 17]
    )
    expected = [len(set(documents[column])) for column in fires.T]
    np.testing.assert_array_equal(table["documents"], expected)


def test_contexts_are_the_strongest_of_distinct_documents(corpora, tokenizer):
    table = summarise(corpora, tokenizer)
    assert table["contexts"][0] == []
    for feature in range(1, 9):
        best: dict[tuple[str, int], tuple[float, int]] = {}
        for name, encoded in corpora.items():
            column = encoded.dump.activations.toarray()[:, feature]
            for position, value in zip(encoded.dump.positions, column, strict=True):
                document = (name, int(position) // 17)
                if value > best.get(document, (0, 0))[0]:
                    best[document] = (float(value), int(position))
        order = sorted(
            (-value, document[0], position) for document, (value, position) in best.items()
        )[:CONTEXTS]
        found = table["contexts"][feature]
        assert [(-c["activation"], c["corpus"], c["position"]) for c in found] == order
        for context in found:
            ids = corpora[context["corpus"]].tokens.ids
            assert context["token"] == tokenizer.decode([ids[context["position"]]])
            assert f"⟦{context['token']}⟧" in context["context"]


def test_the_table_survives_parquet(corpora, tokenizer, tmp_path):
    table = summarise(corpora, tokenizer)
    table.to_parquet(tmp_path / "summary.parquet")
    back = pd.read_parquet(tmp_path / "summary.parquet")
    assert list(back["contexts"][3]) == table["contexts"][3]
    assert len(back["contexts"][0]) == 0


def test_a_dictionary_that_never_fires(tokenizer, token_ids):
    silent = Dump(csr_array((5, 3), dtype=np.float32), np.arange(5))
    table = summarise({"x": Encoded(silent, Tokens(token_ids, np.array([0])))}, tokenizer)
    assert (table["firings"] == 0).all() and (table["max"] == 0).all()
    assert list(table["contexts"]) == [[], [], []]


def test_the_text_around_a_token(tokenizer):
    ids = np.array(
        tokenizer.encode(
            "the cat sat on the mat ; a dog = 1 and the bird sang", add_special_tokens=False
        ).ids
    )
    pieces = [tokenizer.decode([i]) for i in ids]
    at = np.array([0, 14, len(ids) - 1])
    for position, (token, context) in zip(at, marked(ids, at, tokenizer), strict=True):
        before, after = (
            pieces[max(position - 12, 0) : position],
            pieces[position + 1 : position + 13],
        )
        assert token == pieces[position]
        assert context == f"{''.join(before)}⟦{token}⟧{''.join(after)}"


def test_a_special_token_is_shown():
    vocabulary = {"<s>": 0, "a": 1}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="a"))
    tokenizer.add_special_tokens(["<s>"])
    tokenizer.decoder = decoders.Fuse()
    assert list(marked(np.array([0, 1]), np.array([1]), tokenizer)) == [("a", "<s>⟦a⟧")]


def test_a_character_of_several_tokens(tokenizer):
    """é is two bytes and 世 three, and this tokenizer has no token for them."""
    ids = np.array(tokenizer.encode("a é 世界 b", add_special_tokens=False).ids)
    found = list(marked(ids, np.arange(len(ids)), tokenizer))
    assert len(ids) > 10
    for token, context in found:
        assert context.replace("⟦", "").replace("⟧", "") == "a é 世界 b"
        assert f"⟦{token}⟧" in context and token
    assert sum(token == "é" for token, _ in found) == 2
    assert sum(token == "世" for token, _ in found) == 3
