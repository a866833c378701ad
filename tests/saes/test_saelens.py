"""What is written opens in SAELens and encodes to the same bits; what is read is checked."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from featflow.artifacts.io import ArtifactError
from featflow.artifacts.provenance import Provenance
from featflow.plan.slices import Slice
from featflow.saes.architectures.relu import ReluDictionary
from featflow.saes.architectures.topk import TopKDictionary
from featflow.saes.dictionary import WEIGHTS
from featflow.saes.saelens import load, save

PEERS = Path(sys.prefix).with_name(".venv.peers") / "bin" / "python"
"""SAELens has an environment of its own: see envs/peers.txt."""


@pytest.fixture(params=["relu", "topk"])
def sae(request):
    generator = torch.Generator().manual_seed(0)
    shapes = {"W_enc": (12, 48), "b_enc": (48,), "W_dec": (48, 12), "b_dec": (12,)}
    weights = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    return ReluDictionary(**weights) if request.param == "relu" else TopKDictionary(**weights, k=5)


@pytest.fixture
def folder(sae, tmp_path):
    metadata = {"model_name": "lua", "hook_name": "blocks.0.mlp.hook_post"}
    save(tmp_path / "main", sae, metadata, Provenance("sae", Slice(study="demo")))
    return tmp_path / "main"


IN_SAELENS = """
import json, sys
import torch
from safetensors.torch import load_file, save_file
from sae_lens import SAE

folder, x, out = sys.argv[1:]
theirs = SAE.load_from_disk(folder, device="cpu")
with torch.no_grad():
    codes = theirs.encode(load_file(x)["x"])
    save_file({"codes": codes, "decoded": theirs.decode(codes)}, out)
print(json.dumps([theirs.cfg.metadata.hook_name, theirs.cfg.metadata.featflow["stage"]]))
"""


@pytest.mark.skipif(not PEERS.exists(), reason="needs .venv.peers: make test sets it up")
def test_saelens_reads_it_and_agrees_bit_for_bit(sae, folder, tmp_path):
    x = torch.randn(50, 12, generator=torch.Generator().manual_seed(1))
    save_file({"x": x}, tmp_path / "x.safetensors")
    files = [str(folder), str(tmp_path / "x.safetensors"), str(tmp_path / "out.safetensors")]
    command = [str(PEERS), "-c", IN_SAELENS, *files]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout.splitlines()[-1]) == ["blocks.0.mlp.hook_post", "sae"]
    theirs = load_file(tmp_path / "out.safetensors")
    assert torch.equal(theirs["codes"], sae.encode(x)) and (theirs["codes"] > 0).any()
    assert torch.equal(theirs["decoded"], sae.decode(theirs["codes"]))


def test_it_is_read_back(sae, folder):
    found = load(folder)
    for name in WEIGHTS:
        assert torch.equal(getattr(found, name), getattr(sae, name))
    assert (found.width, found.features) == (12, 48)


def test_the_input_bias_is_optional(sae, folder):
    cfg = json.loads((folder / "cfg.json").read_text())
    cfg["apply_b_dec_to_input"] = False
    (folder / "cfg.json").write_text(json.dumps(cfg))
    x = torch.randn(5, 12)
    assert torch.equal(load(folder).encode(x), sae.activate(x @ sae.W_enc + sae.b_enc))


@pytest.mark.parametrize(
    ("key", "value"), [("architecture", "jumprelu"), ("normalize_activations", "layer_norm")]
)
def test_another_kind_of_sae_is_refused(folder, key, value):
    cfg = json.loads((folder / "cfg.json").read_text())
    (folder / "cfg.json").write_text(json.dumps({**cfg, key: value}))
    with pytest.raises(ArtifactError, match=value):
        load(folder)


def test_a_missing_or_truncated_file_is_named(folder):
    weights = folder / "sae_weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ArtifactError, match="sae_weights"):
        load(folder)
    (folder / "cfg.json").unlink()
    with pytest.raises(ArtifactError, match=r"cfg\.json"):
        load(folder)
