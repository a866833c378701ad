"""A full disk: every writer says so, leaves nothing behind, and succeeds once there is room."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from featflow.artifacts import io
from featflow.artifacts.provenance import Provenance
from featflow.files import WriteError, writable
from featflow.plan import paths
from featflow.plan.stages import STAGES
from featflow.plan.stages.data import TokensSlice
from tests.bad_input.conftest import AT, HOOK, A, B, call, files_of, slices, state
from tests.disks import grow, small_disk

SLICE = TokensSlice(study="tiny", corpus="lua", split="train")
NOISE = np.random.default_rng(0).random(250_000)
"""2 MB that no compression makes smaller."""


@pytest.fixture
def disk(tmp_path):
    """A disk of 1 MB."""
    with small_disk(tmp_path / "disk", "1m") as disk:
        yield disk


def tensors(folder: Path) -> None:
    io.save_tensors(folder / "t.safetensors", {"x": NOISE}, Provenance("tokens", SLICE))


def parquet(folder: Path) -> None:
    table = pd.DataFrame({"x": NOISE})
    io.save_table(folder / "t.parquet", table, Provenance("tokens", SLICE))


def csv(folder: Path) -> None:
    table = pd.DataFrame({"x": NOISE})
    io.save_table(folder / "t.csv", table, Provenance("tokens", SLICE))


def json(folder: Path) -> None:
    io.save_json(folder / "t.json", {"x": NOISE.tolist()}, Provenance("tokens", SLICE))


def corpus(folder: Path) -> None:
    from featflow.data.documents import writer
    from featflow.data.sources import Document

    with writer(folder / "train.parquet", Provenance("tokens", SLICE)) as file:
        for part in np.array_split(NOISE, 50):
            text = part.tobytes().hex()
            file.add(Document(text, "here", "here"), len(text), 0)


def tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, models

    words = {f"word{i}": i for i in range(100_000)}
    with io.written(folder / "tokenizer.json") as temporary:
        Tokenizer(models.WordLevel(words, unk_token="word0")).save(str(temporary))


def shard(folder: Path) -> None:
    import torch

    from featflow.runtime.checkpoints import Checkpoints
    from featflow.saes.activations import write_shard

    part, rows = torch.zeros(10, 24, 256, dtype=torch.bfloat16), np.ones((160, 24), bool)
    with Checkpoints("shard") as checkpoints:
        write_shard(
            folder / "0.safetensors",
            lambda done: iter([part] * 16),
            rows,
            256,
            Provenance("tokens", SLICE),
            checkpoints,
        )


def model(folder: Path) -> None:
    from transformers import MistralConfig, MistralForCausalLM

    from featflow.models.folder import save_model, written_folder

    sizes = {"hidden_size": 256, "intermediate_size": 256, "num_hidden_layers": 1}
    made = MistralForCausalLM(MistralConfig(vocab_size=1000, num_attention_heads=4, **sizes))
    with written_folder(folder / "base") as inside:
        save_model(made, inside, Provenance("tokens", SLICE))


def sae(folder: Path) -> None:
    import torch

    from featflow.models.folder import written_folder
    from featflow.saes import saelens
    from featflow.saes.architectures.relu import ReluDictionary

    folded = ReluDictionary(
        torch.ones(256, 1024), torch.ones(1024), torch.ones(1024, 256), torch.ones(256)
    )
    with written_folder(folder / "main", saelens.CFG) as inside:
        saelens.save(inside, folded, {}, Provenance("tokens", SLICE))


WRITERS = (tensors, parquet, csv, json, corpus, tokenizer, shard, model, sae)


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_a_writer_says_so_leaves_nothing_and_succeeds_with_room(disk, write: Callable):
    with pytest.raises(WriteError) as error:
        write(disk)
    said = str(error.value)
    assert f"no space is left in {disk}" in said and "bytes are free" in said
    assert "free some, or move results/" in said and "run the same command again" in said
    assert ".tmp" not in said and not list(disk.iterdir())
    grow(disk, "64m")
    write(disk)
    assert len(list(disk.iterdir())) == 1


def test_an_earlier_file_survives(disk):
    (disk / "t.safetensors").write_text("old")
    with pytest.raises(WriteError):
        tensors(disk)
    assert (disk / "t.safetensors").read_text() == "old" and len(list(disk.iterdir())) == 1


def test_the_corpus_stage_writes_all_splits_or_none(disk, tmp_path, capsys):
    """Only `train` is too large; the other splits are whole before it fails."""
    for i, part in enumerate(np.array_split(NOISE, 100)):
        (tmp_path / f"{i}.txt").write_text(part.tobytes().hex())
    source = {"kind": "files", "paths": [f"{tmp_path}/*.txt"], "validation": 0.1, "selection": 0.1}
    cfg = STAGES["corpus"].slice(slices(corpora={"lua": source}), "lua")
    files = {split: disk / f"{split}.parquet" for split in ("train", "validation", "selection")}
    with pytest.raises(SystemExit) as end:
        call("corpus", cfg, **files)
    assert end.value.code == 1 and not list(disk.iterdir())
    said = capsys.readouterr().err
    assert f"no space is left in {disk}" in said and "fault of featflow" not in said
    grow(disk, "64m")
    call("corpus", cfg, **files)
    assert set(state(disk)) == {file.name for file in files.values()}


def test_a_figure(disk, capsys):
    cfg = STAGES["figure"].slice(
        slices(figures={"draw": {"lineage": {"kind": "lineage"}}}), "lineage"
    )
    with pytest.raises(SystemExit) as end:
        call("figure", cfg, inputs=[], output=disk / "lineage.html")
    assert end.value.code == 1 and not list(disk.iterdir())
    said = capsys.readouterr().err
    assert f"{disk}/lineage.html: no space is left" in said and "fault of featflow" not in said
    grow(disk, "64m")
    call("figure", cfg, inputs=[], output=disk / "lineage.html")


def test_a_checkpoint_leaves_the_one_before(disk, monkeypatch):
    import torch

    from featflow.runtime.checkpoints import Checkpoints

    monkeypatch.setenv("FEATFLOW_CHECKPOINTS", str(disk))
    with Checkpoints("work") as checkpoints:
        checkpoints.save(1, {"x": torch.zeros(100)}, {})
        with pytest.raises(WriteError, match="no space is left"):
            checkpoints.save(2, {"x": torch.zeros(500_000)}, {})
        assert checkpoints.latest().step == 1
        assert not list(disk.rglob("*.tmp"))
        grow(disk, "64m")
        checkpoints.save(2, {"x": torch.zeros(500_000)}, {})
        assert checkpoints.latest().step == 2


def test_a_folder_that_may_not_be_written_is_named(tmp_path):
    path, words = (
        tmp_path / "results" / "x.json",
        r"x\.json: cannot be written: Permission denied; ",
    )
    with pytest.raises(WriteError, match=words), writable(path):
        raise PermissionError(13, "Permission denied", str(path))
    with pytest.raises(PermissionError), writable(path):  # about what is read in the meantime
        raise PermissionError(13, "Permission denied", "/etc/shadow")


OUTPUTS = {"output", "summary", "matrix", "matches", "features", "edges", "strata", "chains"}
WRITERS = (
    "train",
    "finetune",
    "sweep",
    "merge",
    "evaluate",
    "activations",
    "sae",
    "metrics",
    "features",
    "correlation",
    "flow",
)


def stage(verb: str, root: Path) -> tuple[object, dict[str, object]]:
    """A stage's slice and files, in the miniature study; both parents of the merge are its base."""
    of = slices(models={"merged": MERGE} if verb == "merge" else {})
    model = (root / paths.MODEL.at(**AT)).parent
    tokens = {
        split: [root / paths.TOKENS.at(**AT, corpus=c, split=split) for c in sorted(CORPORA)]
        for split in ("validation", "selection")
    }
    lua = root / paths.TOKENS.at(**AT, corpus="lua", split="train")
    swept = [tokens["selection"][i] for i in (1, 0)]  # of lua, then of more
    measured = {"model": model, "tokens": tokens["validation"], "output": model.with_name("x.json")}
    extra = {
        "finetune": (
            STAGES["finetune"].slice(of, "lua"),
            {"parent": model, "tokens": [lua], "output": model},
        ),
        "sweep": (
            STAGES["sweep"].slice(of, "merged"),
            {"parents": [model] * 2, "tokens": swept, "output": model},
        )
        if of.study.swept
        else None,
        "merge": (STAGES["merge"].slice(of, "merged"), {"parents": [model] * 2, "output": model}),
        "evaluate": (STAGES["evaluate"].slice(of, "base"), measured),
        "metrics": (
            STAGES["metrics"].slice(of, "base", "main"),
            {**measured, "sae": (root / paths.SAE.at(**AT)).parent},
        ),
    }
    if verb in extra:
        return extra[verb]
    cfg = {
        "train": lambda: STAGES["train"].slice(of, "base"),
        "activations": lambda: STAGES["activations"].slice(of, "base", HOOK, 0),
        "sae": lambda: STAGES["sae"].slice(of, "base", "main"),
        "features": lambda: STAGES["features"].slice(of, "base", "main"),
        "correlation": lambda: STAGES["correlation"].slice(of, A, B),
        "flow": lambda: STAGES["flow"].slice(of, "main"),
    }[verb]()
    return cfg, files_of(root, verb)


CORPORA = ("english", "python", "lua")
MERGE = {"kind": "merge", "parents": ["lua", "more"], "method": {"kind": "slerp", "t": 0.5}}


@pytest.mark.parametrize("verb", WRITERS)
def test_a_stage(disk, miniature, verb, capsys):
    cfg, files = stage(verb, miniature)
    for flag in files.keys() & (OUTPUTS - {"matches"} if verb == "flow" else OUTPUTS):
        value = files[flag]
        files[flag] = (
            [disk / Path(v).name for v in value]
            if isinstance(value, list)
            else disk / Path(value).name
        )
    filler = disk / "filler"
    filler.write_bytes(bytes(2**20))
    with pytest.raises(SystemExit) as end:
        call(verb, cfg, **files)
    said = capsys.readouterr().err
    assert end.value.code == 1 and "no space is left" in said, said
    assert "fault of featflow" not in said and list(disk.iterdir()) == [filler]
    filler.unlink()
    grow(disk, "64m")
    call(verb, cfg, **files)
    assert list(disk.iterdir())
