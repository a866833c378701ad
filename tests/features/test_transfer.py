"""A parent's SAE on its child, against the dumps of stage features and plain numpy."""

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import save_file

from featflow.artifacts.io import load_provenance
from featflow.config.errors import FeatflowError
from featflow.config.models import Architecture, FinetuneTraining, Training
from featflow.config.saes import Activations, Relu, Sparsity
from featflow.data.windows import drawn
from featflow.features import dump, features, transfer
from featflow.features.scaling import COLUMNS
from featflow.features.scope import document_of
from featflow.models import finetune, random, train
from featflow.models.hooked import HookedModel
from featflow.plan.slices import Windows
from featflow.plan.stages.analysis import TransferSlice
from featflow.plan.stages.features import FeaturesSlice
from featflow.plan.stages.models import FinetuneSlice, RandomSlice, TrainSlice
from featflow.plan.stages.saes import ActivationsSlice, SaeSlice
from featflow.saes import sae, saelens
from featflow.saes.activations import run as dump_activations
from featflow.saes.architectures.relu import ReluDictionary

HOOK = "blocks.0.mlp.hook_post"
WINDOWS = Windows(window=8, context="full", context_length=32, special="keep")
ARCHITECTURE = Architecture(hidden=32, intermediate=48, layers=1, heads=4, kv_heads=2, context=32)
CORPORA, RULES, SIZES = ("x", "y"), ((7, 3), (11, 5)), (6000, 3000)


class Family(NamedTuple):
    """A base, its fine-tune and a random one; the SAEs of the first two; validation tokens."""

    models: dict[str, Path]
    saes: dict[str, Path]
    tokens: list[Path]


def written(path: Path, size: int, rule: tuple[int, int], seed: int) -> Path:
    """Tokens of which the next is (a · id + b) mod 60, now and then random; short documents."""
    rng = np.random.default_rng(seed)
    ids = np.zeros(size, np.int32)
    for i in range(1, size):
        follows = (rule[0] * ids[i - 1] + rule[1]) % 60
        ids[i] = rng.integers(60) if rng.random() < 0.2 else follows
    path.parent.mkdir(parents=True, exist_ok=True)
    starts = np.concatenate([[0], np.sort(rng.choice(np.arange(1, size), size // 40, False))])
    save_file({"input_ids": ids, "document_starts": starts}, path)
    return path


@pytest.fixture(scope="module")
def family(tmp_path_factory, tokenizer_file) -> Family:
    """Trained enough to be told from random weights."""
    root = tmp_path_factory.mktemp("family")
    train_on, tokens = (
        [
            written(root / split / f"{c}.safetensors", n, r, 10 * i + j)
            for i, (c, r, n) in enumerate(zip(CORPORA, RULES, SIZES, strict=True))
        ]
        for j, split in enumerate(("train", "validation"))
    )
    models = {name: root / "models" / name for name in ("base", "child", "noise")}
    saes = {name: root / "sae" / name / "main" for name in ("base", "child")}
    settings = {"batch": 8, "learning_rate": 3e-3, "precision": "float32"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEATFLOW_CHECKPOINTS", str(root / "checkpoints"))
        patch.setenv("FEATFLOW_DEVICE", "cpu")
        cfg = TrainSlice(
            study="s", model="base", seed=1, corpora=["x"],
            architecture=ARCHITECTURE, training=Training(epochs=3, **settings),
        )  # fmt: skip
        train.run(cfg, tokens=train_on[:1], tokenizer=tokenizer_file, output=models["base"])
        tuned = FinetuneSlice(
            study="s", model="child", seed=2, corpora=["y"],
            training=FinetuneTraining(warmup_steps=2, **{**settings, "learning_rate": 1e-3}),
        )  # fmt: skip
        finetune.run(tuned, parent=models["base"], tokens=train_on[1:], output=models["child"])
        drawn = RandomSlice(study="s", model="noise", seed=3, architecture=ARCHITECTURE)
        random.run(drawn, tokenizer=tokenizer_file, output=models["noise"])
        for name, folder in saes.items():
            asked = Relu(
                kind="relu", hook=HOOK, expansion=2, tokens=150_000, batch=16, learning_rate=3e-3,
                sparsity=Sparsity(l0=8), decay=0.2,
            )  # fmt: skip
            shard = ActivationsSlice(
                study="s", model=name, hook=HOOK, corpora=list(CORPORA), windows=WINDOWS, seed=5,
                shard=0, shard_tokens=4000, tokens=4000,
            )  # fmt: skip
            data = root / "activations" / f"{name}.safetensors"
            dump_activations(shard, model=models[name], tokens=train_on, output=data)
            slice_ = SaeSlice(
                study="s", model=name, name="main", seed=4, activations_seed=5, settings=asked,
                activations=Activations(tokens=4000, shard_tokens=4000),
                windows=WINDOWS, corpora=list(CORPORA),
            )  # fmt: skip
            sae.run(slice_, model=models[name], shards=[data], output=folder)
    return Family(models, saes, tokens)


def slice_of(**changes) -> TransferSlice:
    settings = {
        "study": "s", "sae": "main", "parent": "base", "child": "child", "hook": HOOK,
        "corpora": list(CORPORA), "windows": WINDOWS, "tokens_per_corpus": 2500,
        "scope_a": ["x"], "scope_b": ["x", "y"], "scaling": True,
    }  # fmt: skip
    return TransferSlice(**{**settings, **changes})


@pytest.fixture
def moved(family, tmp_path, monkeypatch):
    """Run the stage; gives its two tables."""
    monkeypatch.setenv("FEATFLOW_CHECKPOINTS", str(tmp_path / "checkpoints"))
    monkeypatch.setenv("FEATFLOW_DEVICE", "cpu")

    def run(name="out", child="child", parent_sae=None, child_sae=None, **changes):
        frozen, scaling = (tmp_path / name / f"{t}.parquet" for t in ("frozen", "scaling"))
        transfer.run(
            slice_of(child=child, **changes),
            parent=family.models["base"], child=family.models[child],
            parent_sae=parent_sae or family.saes["base"],
            child_sae=child_sae or family.saes["base"],
            tokens=family.tokens, frozen=frozen, scaling=scaling,
        )  # fmt: skip
        return pd.read_parquet(frozen), pd.read_parquet(scaling)

    return run


def dumped(family: Family, model: str, sae: str, root: Path) -> dict[str, dump.Dump]:
    """What stage features says of a model through an SAE, on the same probe."""
    cfg = FeaturesSlice(
        study="s", model=model, sae="main", hook=HOOK, corpora=list(CORPORA), windows=WINDOWS,
        tokens_per_corpus=2500,
    )  # fmt: skip
    paths = [root / f"{model}.{sae}.{c}.safetensors" for c in CORPORA]
    features.run(
        cfg, model=family.models[model], sae=family.saes[sae], tokens=family.tokens,
        output=paths, summary=root / "summary.parquet",
    )  # fmt: skip
    return {c: dump.read(p, 96) for c, p in zip(CORPORA, paths, strict=True)}


def correlated(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson's r of the columns, by numpy; NaN where one never changes."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.array([np.corrcoef(x, y)[0, 1] for x, y in zip(a.T, b.T, strict=True)])


@pytest.mark.parametrize("scope", [["x"], ["y"], ["x", "y"]])
def test_r_is_that_of_the_dumps(family, moved, tmp_path, monkeypatch, scope):
    # batches that end in the middle of documents, and of a scope
    monkeypatch.setattr(transfer, "TOKENS_A_BATCH", 256)
    found, _ = moved(scope_a=scope)
    mine, theirs = (dumped(family, m, "base", tmp_path) for m in ("base", "child"))
    rows = min(mine[c].activations.shape[0] for c in scope)
    a, b = (
        np.vstack([d[c].activations[:rows].toarray() for c in scope]).astype(float)
        for d in (mine, theirs)
    )
    np.testing.assert_allclose(found.r, correlated(a, b), atol=1e-5)
    np.testing.assert_array_equal(found.firings, (a > 0).sum(0))
    np.testing.assert_array_equal(found.child_firings, (b > 0).sum(0))
    starts = [features.read(family.tokens[CORPORA.index(c)]).document_starts for c in scope]
    at = [1000 * i + document_of(mine[c].positions[:rows], starts[i]) for i, c in enumerate(scope)]
    for name, side in (("documents", a), ("child_documents", b)):
        by_document = pd.DataFrame(side > 0).groupby(np.concatenate(at)).any().sum()
        np.testing.assert_array_equal(found[name], by_document)
    assert (found.tokens == len(a)).all() and len(a) == rows * len(scope)
    assert 0.1 < (found.r > 0.8).mean() < 0.9 and found.feature.tolist() == list(range(96))


def test_on_unchanged_weights_every_feature_that_fires_is_itself(moved):
    frozen, scaling = moved(child="base")
    fires = frozen.firings > 1
    assert fires.sum() > 40
    assert (frozen.r[fires] == 1).all() and frozen.r[frozen.firings == 0].isna().all()
    assert (frozen.firings == frozen.child_firings).all()
    assert (frozen.documents == frozen.child_documents).all()
    np.testing.assert_allclose(scaling.nu_reconstruction.dropna(), 1)
    np.testing.assert_allclose(scaling.beta_error_child - scaling.beta_error_parent, 1)


def test_on_random_weights_next_to_none_is(moved):
    tuned, _ = moved()
    drawn, _ = moved(child="noise")
    living = (drawn.firings >= 20) & (drawn.documents >= 5)
    assert living.sum() > 40
    assert (drawn.r[living] > 0.8).mean() < 0.05 < 0.2 < (tuned.r[living] > 0.8).mean()


@pytest.mark.parametrize("trained_on", [1.0, 0.9], ids=["all rows", "nine in ten"])
def test_scaling_is_what_the_models_and_saes_say(family, moved, tmp_path, trained_on):
    """From transformers' own modules, block by block, by least squares on all rows at once.

    Rows longer than those that either SAE was trained on are left out.
    """
    x, y = ([], [])
    for path in family.tokens:
        ids = features.read(path).ids
        for model, into in (("base", x), ("child", y)):
            into.append(activations(family.models[model], ids))
    x, y = np.concatenate(x), np.concatenate(y)
    inside, folders = np.ones(len(x), bool), {}
    for name, rows in (("base", x), ("child", y)):
        norms = np.linalg.norm(rows, axis=1)
        longest = float(np.quantile(norms, trained_on)) * (1 + 1e-4)
        folders[name] = shorter(family.saes[name], tmp_path / name, longest)
        inside &= norms <= longest
    assert inside.all() == (trained_on == 1)
    _, found = moved(parent_sae=folders["base"], child_sae=folders["child"])
    x, y = x[inside], y[inside]
    parent, child = (saelens.load(family.saes[name]) for name in ("base", "child"))
    f = child.encode(torch.from_numpy(y)).numpy()
    said, own = (
        s.decode(s.encode(torch.from_numpy(z))).numpy() for s, z in ((parent, x), (child, y))
    )
    directions = child.W_dec.numpy()
    assert (found.firings - (f > 0).sum(0)).abs().max() <= 2  # another order of the same sums
    checked = np.flatnonzero((f > 0).sum(0) > 20)[:12]
    assert len(checked) == 12
    for j in checked:
        part = np.outer(f[:, j], directions[j])
        targets = {
            "beta_error_parent": x - said,
            "beta_error_child": y - own + part,
            "beta_reconstruction_parent": said,
            "beta_reconstruction_child": own,
        }
        for name, target in targets.items():
            beta = np.linalg.lstsq(part.reshape(-1, 1), target.reshape(-1), rcond=None)[0][0]
            assert found[name][j] == pytest.approx(beta, abs=2e-3), (j, name)
    for name in ("error", "reconstruction"):
        ratio = found[f"beta_{name}_parent"] / found[f"beta_{name}_child"]
        usable = found[f"beta_{name}_child"] > 0
        np.testing.assert_allclose(found[f"nu_{name}"][usable], ratio[usable])


def shorter(sae: Path, copy: Path, longest: float) -> Path:
    """A copy of an SAE that says to have been trained on rows up to this norm."""
    shutil.copytree(sae, copy)
    cfg = json.loads((copy / "cfg.json").read_text())
    cfg["metadata"]["longest"] = longest
    (copy / "cfg.json").write_text(json.dumps(cfg))
    return copy


@torch.inference_mode()
def activations(folder: Path, ids: np.ndarray) -> np.ndarray:
    """The inputs of down_proj at positions 8 … 31 of the probe's first 93 blocks: (24 · 93, 48).

    (y has no more.)
    """
    from transformers import MistralForCausalLM

    model = MistralForCausalLM.from_pretrained(folder, dtype=torch.float32)
    caught: list[torch.Tensor] = []
    model.model.layers[0].mlp.down_proj.register_forward_hook(
        lambda module, inputs, output: caught.append(inputs[0])
    )
    count = len(ids) // 32
    blocks = ids[: 32 * count].reshape(count, 32)[drawn(count, 2500 // 24, 0)[:93]]
    model(torch.from_numpy(blocks.astype(np.int64)))
    return caught[0][:, 8:].flatten(0, 1).numpy()


def test_whole_matrices_give_the_same(family, moved, monkeypatch):
    """As on a GPU, or where half of the features fire."""
    frozen, sparse = moved(child_sae=family.saes["child"])
    monkeypatch.setattr(transfer, "SPARSE_BELOW", 0)
    monkeypatch.setattr(transfer.Scaling, "add_codes", None)  # is not called
    again, dense = moved("dense", child_sae=family.saes["child"])
    pd.testing.assert_frame_equal(frozen, again)
    pd.testing.assert_frame_equal(sparse.filter(like="beta"), dense.filter(like="beta"), atol=1e-5)
    pd.testing.assert_series_equal(sparse.firings, dense.firings)


def test_models_that_are_not_related_have_no_scaling(moved, family):
    frozen, scaling = moved(child="noise", scaling=False, scope_b=[])
    assert len(frozen) == 96 and len(scaling) == 0
    assert {name: str(kind) for name, kind in scaling.dtypes.items()} == COLUMNS
    related, _ = moved("again", child="noise")
    pd.testing.assert_frame_equal(frozen, related)


def test_the_same_run_gives_the_same_bytes_and_says_from_what(moved, tmp_path):
    moved("first"), moved("second")
    for name in ("frozen.parquet", "scaling.parquet"):
        first, second = (tmp_path / run / name for run in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
        record = load_provenance(first)
        assert record is not None and record["stage"] == "transfer"
        wanted = {"base", "child", "cfg.json", "sae_weights.safetensors", "x.safetensors"}
        assert wanted < record["inputs"].keys()


def test_rows_outside_both_scopes_are_not_read(moved, monkeypatch):
    seen = []
    original = HookedModel.activations

    def counted(self, ids):
        seen.append(ids.numel())
        return original(self, ids)

    monkeypatch.setattr(HookedModel, "activations", counted)
    monkeypatch.setattr(transfer, "TOKENS_A_BATCH", 320)
    moved(scope_a=["y"], scope_b=["x", "y"])  # y has fewer rows: 93 whole blocks
    assert sum(seen) == 2 * 32 * (93 + 100)  # x up to the end of its tenth batch of ten blocks
    seen.clear()
    moved(scope_a=["y"], scaling=False)
    assert sum(seen) == 2 * 32 * 93


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"scope_a": []},
            r"transfer base-child: .* scope of base; add one that it has learnt to probe\.corpora",
        ),
        (
            {"scope_b": []},
            r"transfer base-child: .* scope of child; add one that it has learnt to probe\.corpora",
        ),
        ({"tokens_per_corpus": 3}, r"corpus x: .*probe\.tokens_per_corpus"),
    ],
)
def test_what_cannot_be_judged_is_said(moved, tmp_path, changes, words):
    with pytest.raises(FeatflowError, match=words):
        moved(**changes)
    assert not (tmp_path / "out").exists()


def test_other_widths_are_named(moved, tmp_path):
    narrow = ReluDictionary(*(torch.zeros(s) for s in ((40, 4), (4,), (4, 40), (40,))))
    from featflow.artifacts.provenance import Provenance

    saelens.save(tmp_path / "narrow", narrow, {}, Provenance("sae", slice_of()))
    with pytest.raises(FeatflowError, match=r"base 48, child 48, main 48, narrow 40; .*transfer: "):
        moved(child_sae=tmp_path / "narrow")
