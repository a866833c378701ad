"""A study in miniature made by the real stages, and what is refused of it through the real command.

Stages run in this process, through the very function that `python -m featflow` calls.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import save_file

from featflow.artifacts import digests
from featflow.cli import main
from featflow.config import load
from featflow.plan import paths
from featflow.plan.slicer import Slices
from featflow.plan.slices import Slice
from featflow.plan.stages import STAGES
from featflow.runtime.log import log
from tests.workflow.conftest import ROOT, copy_checkout

TINY = ROOT / "tests/workflow/tiny.yaml"
HOOK = "blocks.0.mlp.hook_post"
AT = {"study": "tiny", "model": "base", "sae": "main"}
A, B = "base.main", "base.reseed"
Config = dict[str, object]


def slices(**changes: dict) -> Slices:
    """Slices of the tiny study with the miniature's sizes, parts of it replaced."""
    config = yaml.safe_load(TINY.read_text())
    config["studies"]["tiny"]["activations"] = {"tokens": 480, "shard_tokens": 480}
    config["studies"]["tiny"]["evaluation"] = {"tokens": 200}
    config["studies"]["tiny"]["probe"] = {"tokens_per_corpus": 500}
    for family, entries in changes.items():
        for key, value in entries.items():
            config["studies"]["tiny"].setdefault(family, {})[key] = value
    return Slices("tiny", load(config).studies["tiny"])


def call(verb: str, cfg: Slice, **files: object) -> None:
    """`featflow VERB --cfg … --flag FILE …`."""
    words = [verb, "--cfg", cfg.dumps()]
    for flag, value in files.items():
        many = value if isinstance(value, list) else [value]
        words += [f"--{flag.replace('_', '-')}", *map(str, many)]
    main(words)


def state(folder: Path) -> dict[str, str]:
    """Every file below a folder, by its content."""
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


Refused = Callable[..., str]


@pytest.fixture
def refused(tmp_path, capsys) -> Refused:
    """refused(verb, cfg, **files): the message with which a stage ends, having written nothing.

    No file appears, vanishes or changes below `tmp_path`: outputs of an earlier run are as before.
    """

    def run(verb: str, cfg: Slice, **files: object) -> str:
        before = state(tmp_path)
        with pytest.raises(SystemExit) as end:
            call(verb, cfg, **files)
        assert end.value.code == 1
        assert state(tmp_path) == before
        message = capsys.readouterr().err
        assert "Traceback" not in message and "fault of featflow" not in message, message
        return message

    return run


@pytest.fixture(autouse=True)
def _own_log_and_checkpoints(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("FEATFLOW_DEVICE", "cpu")
    monkeypatch.setenv("FEATFLOW_CHECKPOINTS", str(tmp_path_factory.mktemp("checkpoints")))
    handlers, propagate = log.handlers, log.propagate
    yield
    log.handlers, log.propagate = handlers, propagate


@pytest.fixture(scope="session")
def checkout(tmp_path_factory) -> Path:
    """A clone with the tiny study, in which nothing is built."""
    return copy_checkout(tmp_path_factory.mktemp("clone"), TINY)


@pytest.fixture(scope="session")
def _made(tmp_path_factory, model_folder, tokenizer_file, token_ids) -> Path:
    """results/tiny: tokens, a model, a shard, two SAEs, their dumps, correlation and flow."""
    from tests.features.test_features import random_sae

    root = tmp_path_factory.mktemp("miniature")
    of = slices()
    for corpus in of.study.corpora:
        for split in paths.SPLITS:
            write_tokens(root / paths.TOKENS.at(**AT, corpus=corpus, split=split), token_ids[:2000])
    model = (root / paths.MODEL.at(**AT)).parent
    shutil.copytree(model_folder, model)
    shutil.copy(tokenizer_file, place(root, paths.TOKENIZER.at(**AT)))
    for seed, sae in enumerate(("main", "reseed")):
        random_sae((root / paths.SAE.at(**{**AT, "sae": sae})).parent, seed)
    handlers, propagate = log.handlers, log.propagate
    call(
        "activations",
        STAGES["activations"].slice(of, "base", HOOK, 0),
        **files_of(root, "activations"),
    )
    for sae in ("main", "reseed"):
        call(
            "features", STAGES["features"].slice(of, "base", sae), **files_of(root, "features", sae)
        )
    call("correlation", STAGES["correlation"].slice(of, A, B), **files_of(root, "correlation"))
    call("flow", STAGES["flow"].slice(of, "main"), **files_of(root, "flow"))
    call("shares", STAGES["shares"].slice(of, "main", "base", "base"), **files_of(root, "shares"))
    log.handlers, log.propagate = handlers, propagate
    return root


@pytest.fixture
def miniature(_made, tmp_path) -> Path:
    """A copy of it, to be spoiled; without digests, which would find it before the reader."""
    ignore = shutil.ignore_patterns(digests.FOLDER)
    shutil.copytree(_made / "results", tmp_path / "results", ignore=ignore)
    return tmp_path


def place(root: Path, name: str) -> Path:
    """A path below a folder that exists."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def write_tokens(path: Path, ids: np.ndarray, **changes: np.ndarray) -> Path:
    """A tokens file with a document every 50 tokens."""
    tensors = {"input_ids": ids, "document_starts": np.arange(0, len(ids), 50)}
    save_file({**tensors, **changes}, place(path.parent, path.name))
    return path


def files_of(root: Path, verb: str, sae: str = "main") -> dict[str, object]:
    """The flags of a stage's files, as its rule gives them."""
    of, at = slices(), {**AT, "sae": sae}

    def tokens(split: str, corpora=None) -> list[Path]:
        names = corpora or sorted(of.study.corpora)
        return [root / paths.TOKENS.at(**at, corpus=c, split=split) for c in names]

    def dumps(dictionary: str) -> list[Path]:
        model, sae = dictionary.split(".")
        at = {"study": "tiny", "model": model, "sae": sae}
        corpora = STAGES["correlation"].slice(of, A, B).corpora
        return [root / paths.FEATURES.at(**at, corpus=c) for c in corpora]

    model = (root / paths.MODEL.at(**at)).parent
    folders = {s: (root / paths.SAE.at(**{**at, "sae": s})).parent for s in ("main", "reseed")}
    shard = root / paths.ACTIVATIONS.at(**at, hook=HOOK, shard=0)
    pair = {"study": "tiny", "a": A, "b": B}
    of_itself = {"study": "tiny", "sae": "main", "parent": "base", "child": "base"}

    def every_dump(sae: str) -> list[Path]:
        names = of.study.probe_corpora
        return [root / paths.FEATURES.at(**{**at, "sae": sae}, corpus=c) for c in names]

    every = STAGES["flow"].slice(of, "main").pairs  # one pair's files stand for those of all
    return {
        "train": {
            "tokens": tokens("train", ["english", "python"]),
            "tokenizer": root / paths.TOKENIZER.at(**at),
            "output": model,
        },
        "activations": {"model": model, "tokens": tokens("train"), "output": shard},
        "sae": {
            "model": model,
            "shards": [shard],
            "output": folders[sae],
        },
        "features": {
            "model": model,
            "sae": folders[sae],
            "tokens": tokens("validation"),
            "output": [root / paths.FEATURES.at(**at, corpus=c) for c in of.study.probe_corpora],
            "summary": root / paths.SUMMARY.at(**at),
        },
        "correlation": {
            "a": dumps(A),
            "b": dumps(B),
            "sae_a": folders["main"],
            "sae_b": folders["reseed"],
            "tokens": tokens("validation", STAGES["correlation"].slice(of, A, B).corpora),
            "matrix": root / paths.MATRIX.at(**pair),
            "matches": root / paths.MATCHES.at(**pair),
        },
        "flow": {
            "matches": [root / paths.MATCHES.at(**pair) for _ in every],
            "matrices": [root / paths.MATRIX.at(**pair) for _ in every],
            "features": root / paths.FLOW_FEATURES.at(**at),
            "counts": root / paths.FLOW_COUNTS.at(**at),
            "chains": root / paths.FLOW_CHAINS.at(**at),
        },
        "shares": {
            "a": every_dump("main"),
            "b": every_dump("reseed"),
            "saes_a": [folders["main"]],
            "saes_b": [folders["reseed"]],
            "tokens": tokens("validation"),
            "best": root / paths.SHARES.at(**of_itself),
            "bootstrap": root / paths.BOOTSTRAP.at(**of_itself),
        },
        "interpret": {
            "dumps": every_dump("main"),
            "tokens": tokens("validation"),
            "tokenizer": root / paths.TOKENIZER.at(**at),
            "output": root / paths.INTERPRET.at(**at),
        },
    }[verb]


def rewrite_json(path: Path, **changes: object) -> None:
    """Replace keys of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
