"""Steps of every form against fp64 autograd with torch's Adam, over shapes and ways of firing."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from featflow.config.saes import Relu
from featflow.saes import one_layer
from featflow.saes.architectures.relu import Autoencoder
from tests.saes.architectures.test_relu import loss_by_definition

STEPS, RATE, BETAS, PENALTY = 4, 1e-2, (0.9, 0.999), 3e-2
MARGIN = 2e-5  # a pre-activation nearer to 0 may be on the other side in float32


class Reference:
    """The module's formulas, autograd, torch.optim.Adam, unit decoder rows, all in float64."""

    def __init__(self, sae):
        self.leaves = [w.double().requires_grad_() for w in sae._weights.values()]
        self.optimiser = torch.optim.Adam(self.leaves, lr=RATE, betas=BETAS)
        self.centering = sae.settings.centering

    def step(self, x):
        _, decoder, *_ = self.leaves
        loss, mse, f = loss_by_definition(x.double(), *self.leaves, PENALTY, self.centering)
        self.optimiser.zero_grad()
        loss.backward()
        with torch.no_grad():
            decoder.grad -= (decoder.grad * decoder).sum(1, keepdim=True) * decoder
            self.optimiser.step()
            decoder /= decoder.norm(dim=1, keepdim=True)
        return mse.item(), f.sum(1).mean().item(), (f > 0).sum(1).double().mean().item(), f

    def nearest_to_zero(self, x):
        encoder, _, bias, offset = (leaf.detach() for leaf in self.leaves)
        x = x.double() - (x.double().mean(1, keepdim=True) if self.centering == "element" else 0)
        return ((x - offset) @ encoder.T + bias[:, 0]).abs().min()


def placed(n, expansion, seed, firing, centering):
    """An autoencoder off its start, of which none, one, some or all of the features fire."""
    kind = Relu(kind="relu", expansion=expansion, precision="float32", betas=BETAS)
    sae = Autoencoder(
        kind.model_copy(update={"centering": centering}), n, seed, torch.device("cpu")
    )
    generator = torch.Generator().manual_seed(seed + 1)
    sae.encoder.add_(0.3 * torch.randn(sae.encoder.shape, generator=generator))
    sae.offset.add_(torch.randn(sae.offset.shape, generator=generator))
    sae.bias.fill_({"none": -1e3, "one": -1e3, "some": -0.3, "all": 1e3}[firing])
    if firing == "one":
        sae.bias[sae.features // 2] = 1e3
    elif firing == "some":
        sae.bias[::3] = -1e3  # never
    sae._copy_weights()
    return sae


@pytest.mark.parametrize("form", ["dense", "sparse", "gpu"])
@settings(deadline=None, max_examples=20, derandomize=True)
@given(
    tokens=st.integers(1, 70),
    n=st.integers(2, 21),
    expansion=st.integers(1, 4),
    firing=st.sampled_from(["none", "one", "some", "all"]),
    centering=st.sampled_from(["element", "none"]),
    seed=st.integers(0, 1),
)
def test_steps_are_those_of_the_reference(form, tokens, n, expansion, firing, centering, seed):
    sae = placed(n, expansion, seed, firing, centering)
    start = {name: weight.double() for name, weight in sae._weights.items()}
    reference, kept = Reference(sae), dict(one_layer.SPARSE_BELOW)
    sae.kernels = form != "gpu"
    one_layer.SPARSE_BELOW.update(dict.fromkeys(kept, 2.0 if form == "sparse" else 0.0))
    try:
        for i in range(STEPS):
            x = torch.randn(tokens, n, generator=torch.Generator().manual_seed(100 + i)) + 0.5
            assume(reference.nearest_to_zero(x) > MARGIN)
            mse, l1, l0, f = reference.step(x)
            found = sae.step(x, RATE, PENALTY)
            assert found[:3] == pytest.approx((mse, l1, l0), rel=2e-3, abs=1e-6)
            assert torch.equal(found.fired, (f > 0).any(0))
    finally:
        one_layer.SPARSE_BELOW.update(kept)
    for (name, weight), leaf in zip(sae._weights.items(), reference.leaves, strict=True):
        moved = (leaf.detach() - start[name]).norm()
        assert (weight.double() - leaf.detach()).norm() <= 0.02 * moved + 1e-5, name
