"""Truncated and foreign artifacts: the stage that reads one names it and the target to rebuild."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as save_torch

from featflow.plan import paths
from featflow.plan.stages import STAGES
from tests.bad_input.conftest import (
    AT,
    HOOK,
    A,
    B,
    Refused,
    call,
    files_of,
    rewrite_json,
    slices,
)

PAIR = {"study": "tiny", "a": A, "b": B}
TRAIN = paths.TOKENS.at(**AT, corpus="python", split="train")
VALIDATION = paths.TOKENS.at(**AT, corpus="python", split="validation")
SHARD = paths.ACTIVATIONS.at(**AT, hook=HOOK, shard=0)
WEIGHTS, CFG = paths.SAE_WEIGHTS.at(**AT), paths.SAE.at(**AT)
DUMP = paths.FEATURES.at(**AT, corpus="python")
MATRIX, MATCHES = paths.MATRIX.at(**PAIR), paths.MATCHES.at(**PAIR)

SLICES: dict[str, Callable] = {
    "train": lambda: STAGES["train"].slice(slices(), "base"),
    "activations": lambda: STAGES["activations"].slice(slices(), "base", HOOK, 0),
    "sae": lambda: STAGES["sae"].slice(slices(), "base", "main"),
    "features": lambda: STAGES["features"].slice(slices(), "base", "main"),
    "correlation": lambda: STAGES["correlation"].slice(slices(), A, B),
    "flow": lambda: STAGES["flow"].slice(slices(), "main"),
    "shares": lambda: STAGES["shares"].slice(slices(), "main", "base", "base"),
    "interpret": lambda: STAGES["interpret"].slice(slices(), "base", "main"),
}
READERS = [
    ("train", TRAIN),
    ("activations", TRAIN),
    ("sae", SHARD),
    ("features", VALIDATION),
    ("features", WEIGHTS),
    ("features", CFG),
    ("correlation", DUMP),
    ("flow", MATRIX),
    ("flow", MATCHES),
    ("shares", DUMP),
    ("interpret", DUMP),
]


def check(refused: Refused, root: Path, verb: str, name: str, *words: str) -> None:
    said = refused(verb, SLICES[verb](), **files_of(root, verb))
    assert f"{name} --forcerun {name}" in said and str(root / name) in said, said
    assert all(word in said for word in words), said


@pytest.mark.parametrize(("verb", "name"), READERS)
@pytest.mark.parametrize("what", ["truncated", "foreign", "empty"])
def test_what_is_truncated_or_foreign_is_named(miniature, refused, verb, name, what):
    path = miniature / name
    content = path.read_bytes()
    spoilt = {
        "truncated": content[: len(content) * 3 // 5],
        "foreign": b"PK\3\4 a zip",
        "empty": b"",
    }
    path.write_bytes(spoilt[what])
    check(refused, miniature, verb, name, "cannot be read")


def resaved(path: Path, **changes: np.ndarray) -> None:
    """The file with tensors replaced; what is None is left out."""
    tensors = {**load_file(path), **changes}
    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items() if v is not None}, path)


@pytest.mark.parametrize("verb", ["train", "activations"])
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"input_ids": np.zeros((9, 64), np.int32)}, "its input_ids are I32 (9, 64), not I32 (N,)"),
        ({"input_ids": np.zeros(640, np.int64)}, "its input_ids are I64"),
        ({"input_ids": None}, "it has no tensor input_ids"),
        ({"document_starts": None}, "it has no tensor document_starts"),
        ({"document_starts": np.array([0, 9999])}, "do not ascend from 0 to below 2,000"),
        ({"document_starts": np.zeros((1, 1), np.int64)}, "its document_starts are int64 (1, 1)"),
    ],
)
def test_tokens_of_another_form(miniature, refused, verb, changes, words):
    resaved(miniature / TRAIN, **changes)
    check(refused, miniature, verb, TRAIN, words)


@pytest.mark.parametrize(
    ("shard", "words"),
    [
        (torch.zeros(20, 24, 32, dtype=torch.bfloat16), "not of base at blocks.0.mlp.hook_post"),
        (torch.zeros(480, 48, dtype=torch.bfloat16), "(480, 48), not bfloat16 (W, L, n)"),
        (torch.zeros(20, 24, 48), "its activations are torch.float32"),
        (torch.zeros(0, 24, 48, dtype=torch.bfloat16), "(0, 24, 48)"),
    ],
)
def test_a_shard_of_another_form(miniature, refused, shard, words):
    rest = {"norms": torch.ones(shard.shape[:2]), "rows": torch.ones(shard.shape[:2]) > 0}
    save_torch({"activations": shard, **rest}, miniature / SHARD)
    check(refused, miniature, "sae", SHARD, words)
    save_torch({"activations": shard}, miniature / SHARD)
    check(refused, miniature, "sae", SHARD, "it has no tensor norms, rows")


def test_an_sae_whose_files_do_not_belong_together(miniature, refused):
    resaved(miniature / WEIGHTS, b_enc=np.zeros(95, np.float32))
    check(refused, miniature, "features", WEIGHTS, "its b_enc is (95,), but cfg.json says (96,)")
    resaved(miniature / WEIGHTS, W_enc=None)
    check(refused, miniature, "features", WEIGHTS, "it has no tensor W_enc")
    rewrite_json(miniature / CFG, architecture="lattice")
    check(refused, miniature, "features", CFG, "architecture is 'lattice'")


def test_an_sae_of_another_width_than_the_hook(miniature, refused):
    shapes = {"W_enc": (32, 96), "b_enc": (96,), "W_dec": (96, 32), "b_dec": (32,)}
    resaved(miniature / WEIGHTS, **{k: np.zeros(s, np.float32) for k, s in shapes.items()})
    rewrite_json(miniature / CFG, d_in=32)
    said = refused("features", SLICES["features"](), **files_of(miniature, "features"))
    assert "results/tiny/sae/base/main reads 32 numbers" in said
    assert "carries 48" in said and "rebuild the SAE" in said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (lambda d: {"indptr": d["indptr"][:-1]}, "indptr has"),
        (lambda d: {"indptr": d["indptr"] // 2}, "indptr ends at"),
        (lambda d: {"indices": d["indices"] + 90}, "outside the SAE's 96 features"),
        (lambda d: {"values": -d["values"]}, "an activation is not positive"),
        (lambda d: {"positions": d["positions"][::-1]}, "positions do not ascend"),
    ],
)
def test_a_dump_that_does_not_fit(miniature, refused, changes, words):
    resaved(miniature / DUMP, **changes(load_file(miniature / DUMP)))
    check(refused, miniature, "correlation", DUMP, words)


def test_a_table_without_its_columns(miniature, refused):
    pd.DataFrame({"side": ["a"], "feature": [0]}).to_parquet(miniature / MATCHES)
    check(refused, miniature, "flow", MATCHES)


@pytest.mark.parametrize("content", ["", "[]", '{"lua": '])
def test_a_broken_json_is_named_by_what_draws_it(tmp_path, refused, content):
    of = slices()
    name = paths.EVALUATE.at(**AT)
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text(content)
    figure = STAGES["figure"].slice(
        slices(figures={"draw": {"lineage": {"kind": "lineage"}}}), "lineage"
    )
    said = refused("figure", figure, inputs=[tmp_path / name], output=tmp_path / "lineage.html")
    assert f"{name} --forcerun {name}" in said and of.name == "tiny"


@pytest.mark.parametrize("content", [b"", b"PAR1 a stub", b"PK\3\4 a zip"])
def test_documents_and_sweeps_that_are_no_parquet(tmp_path, refused, tokenizer_file, content):
    documents = paths.CORPUS.at(**AT, corpus="lua", split="train")
    (tmp_path / documents).parent.mkdir(parents=True)
    (tmp_path / documents).write_bytes(content)
    files = {"documents": tmp_path / documents, "tokenizer": tokenizer_file}
    said = refused(
        "tokens", STAGES["tokens"].slice(slices(), "lua", "train"), **files, output=tmp_path / "out"
    )
    assert f"{documents} --forcerun {documents}" in said


def test_a_tokenizer_that_is_none(tmp_path, refused, tokenizer_file):
    broken = tmp_path / paths.TOKENIZER.at(**AT)
    broken.parent.mkdir(parents=True)
    broken.write_text(json.dumps({"version": "1.0"}))
    files = {"documents": tmp_path / "missing.parquet", "tokenizer": broken}
    pd.DataFrame({"text": ["x"], "source": ["y"]}).to_parquet(files["documents"])
    said = refused(
        "tokens", STAGES["tokens"].slice(slices(), "lua", "train"), **files, output=tmp_path / "out"
    )
    assert "tokenizer.json: cannot be read" in said and "--forcerun results/tiny/tokenizer" in said


def test_a_file_that_is_not_there_is_named_with_the_target_that_makes_it(miniature, refused):
    (miniature / SHARD).unlink()
    said = refused("sae", SLICES["sae"](), **files_of(miniature, "sae"))
    assert f"make it with: snakemake --profile local {SHARD}" in said


def test_the_miniature_itself_is_good(miniature):
    """Else none of the above would show anything."""
    call("features", SLICES["features"](), **files_of(miniature, "features"))
    call("correlation", SLICES["correlation"](), **files_of(miniature, "correlation"))
    call("flow", SLICES["flow"](), **files_of(miniature, "flow"))
    call("shares", SLICES["shares"](), **files_of(miniature, "shares"))
