"""Fewer tokens than asked for: said, and used where that gives a result; else the key is named."""

import json

from safetensors import safe_open

from featflow.artifacts.io import load_tensors
from featflow.artifacts.provenance import Provenance
from featflow.config.corpora import Generated
from featflow.data.documents import writer
from featflow.data.sources import Document
from featflow.plan import paths
from featflow.plan.stages import STAGES
from featflow.plan.stages.data import CorpusSlice
from tests.bad_input.conftest import AT, HOOK, call, files_of, place, slices, write_tokens


def documents(root, *texts: str):
    source = Generated(kind="generated", language="lua", documents=5)
    cfg = CorpusSlice(study="tiny", corpus="lua", seed=0, source=source)
    path = place(root, paths.CORPUS.at(**AT, corpus="lua", split="train"))
    with writer(path, Provenance("corpus", cfg)) as file:
        for text in texts:
            file.add(Document(text, "here", "here"), len(text), 0)
    return path


def test_a_corpus_with_fewer_tokens_than_asked(tmp_path, tokenizer_file, capsys):
    of = slices(corpora={"lua": {"kind": "generated", "language": "lua", "tokens": 5000}})
    files = {"documents": documents(tmp_path, "the cat"), "tokenizer": tokenizer_file}
    output = tmp_path / "train.safetensors"
    call("tokens", STAGES["tokens"].slice(of, "lua", "train"), **files, output=output)
    said = capsys.readouterr().err
    count = len(load_tensors(output, "input_ids")["input_ids"])
    assert f"corpora.lua.tokens: asked for 5,000 tokens, the corpus has {count:,}" in said
    with safe_open(output, "numpy") as file:  # the file tells both numbers, too
        assert json.loads(file.metadata()["featflow"])["config"]["tokens"] == 5000


def test_a_corpus_without_any_document(tmp_path, tokenizer_file, refused):
    files = {"documents": documents(tmp_path), "tokenizer": tokenizer_file}
    said = refused(
        "tokens", STAGES["tokens"].slice(slices(), "lua", "train"), **files, output=tmp_path / "out"
    )
    assert "no documents; look at the source of corpus lua" in said


def test_a_probe_with_fewer_tokens_than_asked(miniature, capsys):
    of = slices(probe={"tokens_per_corpus": 900_000})
    call(
        "features", STAGES["features"].slice(of, "base", "main"), **files_of(miniature, "features")
    )
    said = capsys.readouterr().err
    assert said.count("probe.tokens_per_corpus: asked for 900,000 rows") == 3
    dump = load_tensors(miniature / paths.FEATURES.at(**AT, corpus="lua"), "positions")
    assert f"split of lua gives {len(dump['positions']):,}; they are used" in said


def test_not_one_block(miniature, refused, token_ids):
    for split in ("train", "validation"):
        write_tokens(
            miniature / paths.TOKENS.at(**AT, corpus="python", split=split), token_ids[:63]
        )
    of = slices()
    said = refused("train", STAGES["train"].slice(of, "base"), **files_of(miniature, "train"))
    assert "python/train.safetensors: 63 tokens do not fill one block of 64" in said
    said = refused(
        "features", STAGES["features"].slice(of, "base", "main"), **files_of(miniature, "features")
    )
    assert "corpus python: a block of the probe has 64 tokens" in said
    assert "give the corpus more documents" in said


def test_an_sae_that_asks_for_more_activations_than_there_are_tokens(miniature, refused):
    of = slices(activations={"tokens": 900_000, "shard_tokens": 900_000})
    cfg = STAGES["activations"].slice(of, "base", HOOK, 0)
    said = refused("activations", cfg, **files_of(miniature, "activations"))
    assert "of english, lua, python give activations of" in said
    assert "900,000 are asked for; lower activations.tokens" in said


def test_a_hook_that_does_not_exist(miniature, refused):
    cfg = STAGES["activations"].slice(slices(), "base", "blocks.0.mlp.hook_pots", 0)
    said = refused("activations", cfg, **files_of(miniature, "activations"))
    assert "no hook 'blocks.0.mlp.hook_pots'" in said
    assert "did you mean 'blocks.0.mlp.hook_post'" in said
    assert "the hooks are:" in said and "blocks.0.hook_resid_post" in said
