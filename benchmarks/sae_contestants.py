"""Who takes part in the benchmarks of an SAE's training step."""

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.rows import interleaved
from featflow.config.saes import Relu
from featflow.runtime.device import device
from featflow.saes import one_layer
from featflow.saes.architectures.relu import Autoencoder

L0 = 30
PENALTY, RATE = 1e-3, 1e-7  # a rate so low that L0 stays where it is put

Run = Callable[[], object]


def times(runs: dict[str, Run], seconds: float) -> dict[str, list[float]]:
    """The contestants' times."""
    gpu = device().type == "cuda"
    return interleaved(runs, seconds, sync=torch.cuda.synchronize if gpu else lambda: None)


def settings(width: int, features: int, precision: str, **more: object) -> Relu:
    """Of an SAE of this size."""
    fixed = {"kind": "relu", "expansion": features // width, "precision": precision}
    return Relu.model_validate({**fixed, **more})


def placed(x: Tensor, features: int, precision: str) -> Autoencoder:
    """An autoencoder of which about L0 features fire at a token of x."""
    sae = Autoencoder(settings(x.shape[1], features, precision), x.shape[1], 0, x.device)
    place(sae, x)
    return sae


def place(sae: Autoencoder, x: Tensor) -> None:
    """Move all biases to where about L0 features fire at a token of x."""
    pre = sae._centred(x[:256]) @ sae.encoder.T
    kept = round(pre.numel() * L0 / sae.features)
    sae.bias.fill_(-float(pre.flatten().topk(kept).values[-1]))
    sae._copy_weights()


def taking(sae: Autoencoder, x: Tensor, below: float) -> Run:
    """A step of featflow, sparse below this share of active pairs."""

    def run() -> None:
        kept = dict(one_layer.SPARSE_BELOW)
        one_layer.SPARSE_BELOW.update(dict.fromkeys(kept, below))
        sae.step(x, RATE, PENALTY)
        one_layer.SPARSE_BELOW.update(kept)

    return run


def bound(x: Tensor, features: int, dtype: torch.dtype) -> Run:
    """The five products, with everything allocated before."""
    tokens, width = x.shape
    x, error = x.to(dtype), torch.randn_like(x).to(dtype)
    encoder, decoder = (torch.randn(features, width).to(x) for _ in range(2))
    codes, slopes = (torch.empty(tokens, features).to(x) for _ in range(2))
    back, up, down = torch.empty_like(x), torch.empty_like(encoder), torch.empty_like(decoder)

    def run() -> None:
        torch.mm(x, encoder.T, out=codes)
        torch.mm(codes, decoder, out=back)
        torch.mm(error, decoder.T, out=slopes)
        torch.mm(slopes.T, x, out=up)
        torch.mm(codes.T, error, out=down)

    return run


def autograd(sae: Autoencoder, x: Tensor) -> Run:
    """The same step by autograd and torch's Adam (its step counter shared by all features)."""
    leaves = [weight.clone().requires_grad_() for weight in sae._weights.values()]
    encoder, decoder, bias, offset = leaves
    optimiser = torch.optim.Adam(leaves, lr=RATE, betas=sae.settings.betas)

    def run() -> None:
        f = torch.relu((x - x.mean(1, keepdim=True) - offset) @ encoder.T + bias[:, 0])
        error = f @ decoder + offset - x
        loss = error.square().mean() + PENALTY * f.sum(1).mean()
        loss.backward()
        with torch.no_grad():
            gradient = decoder.grad
            assert gradient is not None
            gradient -= (gradient * decoder).sum(1, keepdim=True) * decoder
            optimiser.step()
            optimiser.zero_grad()
            decoder.div_(decoder.norm(dim=1, keepdim=True))
            (f > 0).any(0)

    return run


def saelens(ours: Autoencoder, x: Tensor) -> Run | None:
    """The step of SAELens's trainer: loss, firing counts, gradient clipping, Adam."""
    try:
        from sae_lens.saes.sae import TrainStepInput
        from sae_lens.saes.standard_sae import StandardTrainingSAE, StandardTrainingSAEConfig
    except ImportError as error:
        print(f"SAELens is left out: {error}")
        return None
    config = StandardTrainingSAEConfig(d_in=ours.width, d_sae=ours.features, device=str(x.device))
    sae, folded = StandardTrainingSAE(config), ours.dictionary(1.0)
    with torch.no_grad():
        for name in ("W_enc", "b_enc", "W_dec", "b_dec"):
            getattr(sae, name).copy_(getattr(folded, name))
    optimiser = torch.optim.Adam(sae.parameters(), lr=RATE, betas=(0.9, 0.999))
    counts = torch.zeros(ours.features, device=x.device)
    step = TrainStepInput(
        sae_in=x,
        coefficients={"l1": PENALTY},
        dead_neuron_mask=None,
        n_training_steps=1,
        is_logging_step=False,
    )

    def run() -> None:
        found = sae.training_forward_pass(step_input=step)
        with torch.no_grad():
            counts.add_(found.feature_acts.bool().float().sum(0))
        found.loss.backward()
        torch.nn.utils.clip_grad_norm_(sae.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()

    return run
