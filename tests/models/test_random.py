"""Models with random weights: those of the study's own architecture, and those like a pretrained
one."""

import math

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from featflow.artifacts.io import ArtifactError, load_provenance
from featflow.config.errors import FeatflowError
from featflow.models import pretrained, random
from featflow.models.hooked import HookedModel
from featflow.plan.stages.models import RandomSlice
from tests.models.architectures import KINDS, write_model
from tests.models.conftest import ARCHITECTURE
from tests.models.test_pretrained import slice_of as pretrained_slice

HOOK = "blocks.0.mlp.hook_post"


def slice_of(seed: int = 3, architecture=ARCHITECTURE) -> RandomSlice:
    return RandomSlice(study="demo", model="noise", seed=seed, architecture=architecture)


@pytest.fixture
def drawn(tmp_path, tokenizer_file):
    """Run the stage; gives the model folder."""

    def run(name: str = "noise", like=None, **changes):
        output = tmp_path / name
        random.run(slice_of(**changes), tokenizer=tokenizer_file, output=output, like=like)
        return output

    return run


@pytest.fixture
def brought(tmp_path, tokenizer_file):
    """The folder of stage `pretrained` for a small model of this kind."""

    def run(kind: str, dtype: torch.dtype = torch.float32):
        source = write_model(kind, tmp_path / kind)
        AutoModelForCausalLM.from_pretrained(source).to(dtype).save_pretrained(source)
        output = tmp_path / f"brought-{kind}"
        pretrained.run(pretrained_slice(source), tokenizer=tokenizer_file, output=output)
        return output

    return run


@torch.no_grad()
def loss_and_spread(folder) -> tuple[float, float]:
    """transformers' own loss on random ids, minus ln(vocabulary); the spread of a matrix."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    size = model.config.vocab_size
    ids = torch.randint(0, size, (8, 32), generator=torch.Generator().manual_seed(0))
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "mlp" in n]
    return float(model(ids, labels=ids).loss) - math.log(size), float(matrices[0].std())


def test_an_untrained_model_predicts_nothing(drawn):
    excess, spread = loss_and_spread(drawn())
    assert abs(excess) < 0.05 and spread == pytest.approx(0.02, rel=0.1)


def test_the_layout_is_that_of_a_trained_model(drawn, base, token_ids):
    folder = drawn()
    trained = {path.name for path in base.iterdir()} - {"training.parquet"}
    assert {path.name for path in folder.iterdir()} == trained
    mine, theirs = (load_file(f / "model.safetensors") for f in (folder, base))
    assert {n: (w.shape, w.dtype) for n, w in mine.items()} == {
        n: (w.shape, w.dtype) for n, w in theirs.items()
    }
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (folder / name).read_bytes() == (base / name).read_bytes()
    hooked = HookedModel.load(folder, HOOK)
    assert hooked.activations(torch.tensor(token_ids[None, :32]).long()).shape == (1, 32, 48)
    record = load_provenance(folder / "config.json")
    assert record is not None and record["stage"] == "random"
    assert record["config"]["seed"] == 3 and record["inputs"].keys() == {"tokenizer.json"}


def test_a_seed_decides_the_bytes(drawn):
    first, again, other = drawn("a"), drawn("b"), drawn("c", seed=4)
    for path in first.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name
    mine, theirs = (load_file(folder / "model.safetensors") for folder in (first, other))
    matrices = [name for name, weight in mine.items() if weight.ndim == 2]
    assert all(not torch.equal(mine[n], theirs[n]) for n in matrices) and len(matrices) == 9
    overlap = torch.corrcoef(torch.stack([w["lm_head.weight"].flatten() for w in (mine, theirs)]))
    assert abs(overlap[0, 1]) < 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_any_architecture_is_drawn_as_transformers_does(kind, brought, drawn, tokenizer_file):
    like = brought(kind)
    folder = drawn(like=like, architecture=None)
    mine, theirs = (load_file(f / "model.safetensors") for f in (folder, like))
    assert mine.keys() == theirs.keys()
    assert all(mine[n].shape == theirs[n].shape for n in mine)
    assert not torch.equal(*(w[max(w, key=lambda n: w[n].numel())] for w in (mine, theirs)))
    excess, spread = loss_and_spread(folder)
    assert abs(excess) < 0.2 and spread == pytest.approx(0.02, rel=0.1)
    assert HookedModel.load(folder, HOOK).width == KINDS[kind].width
    assert AutoTokenizer.from_pretrained(folder)("the cat")["input_ids"]
    assert str(like.parent) not in (folder / "config.json").read_text()
    record = load_provenance(folder / "config.json")
    assert record is not None and record["inputs"].keys() == {"tokenizer.json", "config.json"}


def test_the_dtype_is_that_of_the_other_model_and_draws_nothing_else(brought, drawn):
    half = drawn("half", like=brought("llama", torch.bfloat16), architecture=None)
    whole = drawn("whole", like=brought("llama"), architecture=None)
    mine, theirs = (load_file(f / "model.safetensors") for f in (half, whole))
    assert {w.dtype for w in mine.values()} == {torch.bfloat16}
    assert {w.dtype for w in theirs.values()} == {torch.float32}
    assert all(torch.equal(mine[n], theirs[n].bfloat16()) for n in mine)


def test_without_one_architecture_it_says_so(drawn, base, tmp_path):
    for wrong in ({"architecture": None}, {"like": base}):
        with pytest.raises(FeatflowError, match=r"studies\.demo\.models\.noise: .*--like"):
            drawn(**wrong)
    assert not (tmp_path / "noise").exists()


def test_a_folder_without_a_config_is_named(drawn, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtifactError, match=r"empty/config\.json"):
        drawn(like=tmp_path / "empty", architecture=None)
