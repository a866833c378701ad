"""A study in miniature: token files, slices and trained models, hidden 32 and context 32."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from featflow.config.merging import Method, Slerp, TaskVectors
from featflow.config.models import Architecture, FinetuneTraining, Training
from featflow.models import finetune, sweep, train
from featflow.plan.stages.models import FinetuneSlice, MergeSlice, SweepSlice, TrainSlice

ARCHITECTURE = Architecture(hidden=32, intermediate=48, layers=1, heads=4, kv_heads=2, context=32)
TRAINING = Training(epochs=2, batch=8, learning_rate=3e-3, precision="float32")


@pytest.fixture(autouse=True)
def _one_thread_and_own_checkpoints(tmp_path, monkeypatch):
    monkeypatch.setenv("FEATFLOW_CHECKPOINTS", str(tmp_path / "checkpoints"))
    monkeypatch.setenv("FEATFLOW_DEVICE", "cpu")
    torch.set_num_threads(1)


def write_tokens(path: Path, ids: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    starts = np.zeros(1, dtype=np.int64)
    save_file({"input_ids": ids.astype(np.int32), "document_starts": starts}, path)
    return path


@pytest.fixture(scope="session")
def corpora(tmp_path_factory) -> dict[str, Path]:
    """Three corpora with a rule each: the next id is (a · id + b) mod 60, now and then random.

    `long` has twice as many tokens as the others.
    """
    rng = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("tokens")
    files = {}
    for name, (size, a, b) in {
        "one": (4000, 7, 3),
        "two": (4000, 11, 5),
        "long": (8000, 13, 1),
    }.items():
        ids = np.zeros(size, dtype=np.int32)
        for i in range(1, size):
            ids[i] = rng.integers(60) if rng.random() < 0.2 else (a * ids[i - 1] + b) % 60
        files[name] = write_tokens(root / name / "train.safetensors", ids)
    return files


def train_slice(corpora: list[str], **changes) -> TrainSlice:
    fields = {"model": "base", "seed": 1, "architecture": ARCHITECTURE, "training": TRAINING}
    return TrainSlice(study="demo", corpora=corpora, **{**fields, **changes})


def finetune_slice(corpora: list[str], **training) -> FinetuneSlice:
    settings = {"batch": 8, "learning_rate": 3e-3, "warmup_steps": 2, "precision": "float32"}
    return FinetuneSlice(
        study="demo",
        model="child",
        seed=2,
        corpora=corpora,
        training=FinetuneTraining(**{**settings, **training}),
    )


def merge_slice(t=0.5, method: Method | None = None) -> MergeSlice:
    """A merge of `one` and `two`: by slerp at t, or by another method."""
    return MergeSlice(
        study="demo",
        model="merged",
        parents=["one", "two"],
        corpora=[["one"], ["two"]],
        method=method or Slerp(kind="slerp", t=t),
        base="base" if isinstance(method, TaskVectors) else None,
    )


def sweep_slice() -> SweepSlice:
    """Slerps of `one` and `two` at five values of t."""
    return SweepSlice(
        study="demo",
        model="merged",
        parents=["one", "two"],
        corpora=[["one"], ["two"]],
        method=Slerp(kind="slerp"),
        points=5,
        tokens=3000,
    )


@pytest.fixture(scope="session")
def base(tmp_path_factory, corpora, tokenizer_file) -> Path:
    """A base model of the corpora `one` and `two`."""
    output = tmp_path_factory.mktemp("models") / "base"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEATFLOW_CHECKPOINTS", str(output.parent / "checkpoints"))
        cfg = train_slice(["one", "two"])
        tokens = [corpora["one"], corpora["two"]]
        train.run(cfg, tokens=tokens, tokenizer=tokenizer_file, output=output)
    return output


@pytest.fixture(scope="session")
def children(tmp_path_factory, corpora, base) -> list[Path]:
    """Fine-tunes of the base on `one` and on `two`."""
    root = tmp_path_factory.mktemp("children")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEATFLOW_CHECKPOINTS", str(root / "checkpoints"))
        for name in ("one", "two"):
            cfg = finetune_slice([name], epochs=3)
            finetune.run(cfg, parent=base, tokens=[corpora[name]], output=root / name)
    return [root / "one", root / "two"]


@pytest.fixture(scope="session")
def swept(children, corpora, tmp_path_factory):
    """The sweep of the children at five values of t, on their training tokens."""
    output = tmp_path_factory.mktemp("sweep") / "merged.parquet"
    sweep.run(
        sweep_slice(), parents=children, tokens=[corpora["one"], corpora["two"]], output=output
    )
    return output
