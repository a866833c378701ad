"""The ReLU autoencoder with an L1 penalty (Horn & Elliott 2024, Eq. 1 to 4; Bricken et al. 2023).

    x̄ = x − mean(x)·1 − b_d      (centering: element; without the mean in Bricken's form)
    f = ReLU(W_e x̄ + b_e)
    x̂ = W_d f + b_d              (decoder vectors of unit norm)
    loss = mean over tokens and elements of (x − x̂)² + λ · mean over tokens of Σ f

The backward pass is written out. With e = x̂ − x, everything up to a common factor 2 / (B n):

    ∂f = (e · W_d + λ n / 2) where f > 0        ∂W_d = fᵀ e        ∂W_e = ∂fᵀ x̄
    ∂b_e = Σ ∂f                                 ∂b_d = Σ e − W_eᵀ Σ ∂f

Four of the five products involve f or ∂f: where few features fire they run on the active pairs
alone (saes/sparse.py, on the CPU), else densely. Both weight matrices are stored a row a feature.
On a GPU the host waits once a step, for three numbers of the forward pass, with the rest queued.

Shapes: B tokens, n inputs, m features.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from featflow.config.saes import Relu
from featflow.runtime.device import product_dtype
from featflow.saes import dense, sparse
from featflow.saes.adam import Moments, Pace, Rule, match_threads, update_rows, update_rows_torch
from featflow.saes.architectures import Step
from featflow.saes.readback import Readback
from featflow.saes.saelens import Folded

SPARSE_BELOW = {torch.bfloat16: 0.08, torch.float32: 0.3}
"""The share of active pairs below which sparse products are the faster ones (measured)."""

REVIVED_NORM = 0.2
"""The norm of a revived encoder row, in mean norms of the living (Bricken et al. 2023)."""


class Gradients(NamedTuple):
    """Up to the factor 2 / (B n), and what the step reports."""

    encoder: Tensor
    decoder: Tensor
    bias: Tensor
    error: Tensor
    fired: Tensor
    told: Readback
    """mse, l1 and active pairs, the latter two summed over the batch."""


class Autoencoder:
    """The weights, their optimiser, and one training step."""

    def __init__(self, settings: Relu, width: int, seed: int, device: torch.device):
        """Args: the settings; n; the seed of the decoder's directions; where to compute."""
        self.settings, self.width = settings, width
        self.features = settings.expansion * width
        generator = torch.Generator().manual_seed(seed)
        directions = torch.randn(self.features, width, generator=generator)
        directions /= directions.norm(dim=1, keepdim=True)
        self.decoder = directions.to(device)
        self.encoder = self.decoder.clone()
        self.bias = torch.zeros(self.features, 1, device=device)
        self.offset = torch.zeros(1, width, device=device)
        self.moments = {name: Moments.of(weight) for name, weight in self._weights.items()}
        self.steps = torch.zeros(self.features, dtype=torch.int64, device=device)
        self.offset_steps = torch.zeros(1, dtype=torch.int64, device=device)
        self.dtype = product_dtype(settings.precision, device)
        self.kernels = device.type == "cpu"
        """Whether numba's kernels are to be used."""
        self._buffers: dict[str, Tensor] = {}
        self._copy_weights()
        match_threads()

    @property
    def _weights(self) -> dict[str, Tensor]:
        return {
            "encoder": self.encoder,
            "decoder": self.decoder,
            "bias": self.bias,
            "offset": self.offset,
        }

    @property
    def state(self) -> dict[str, Tensor]:
        """The weights, Adam's moments and the step counters."""
        moments = {
            f"{name}.{part}": tensor
            for name, pair in self.moments.items()
            for part, tensor in zip(pair._fields, pair, strict=True)
        }
        counters = {"steps": self.steps, "offset_steps": self.offset_steps}
        return {**self._weights, **moments, **counters}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from a `state`."""
        for name, tensor in self.state.items():
            tensor.copy_(state[name])
        self._copy_weights()

    def start_at(self, offset: Tensor) -> None:
        """Begin with b_d = offset (n,)."""
        self.offset.copy_(offset)

    def step(self, x: Tensor, learning_rate: float, penalty: float) -> Step:
        """One step of Adam on a batch (B, n); `penalty` is λ."""
        tokens = len(x)
        centred = self._centred(x)
        pre = self._pre_activations(centred)
        shrink = penalty * self.width / 2
        if self.kernels:
            counts = sparse.count_positive(sparse.bits(pre))
            active = int(counts.sum())
            if active < SPARSE_BELOW[self.dtype] * pre.numel():
                found = self._sparse_gradients(x, centred, pre, counts, shrink)
            else:
                found = self._dense_gradients(x, centred, pre, torch.tensor(active), shrink)
        else:
            found = self._dense_gradients(x, centred, pre, dense.count(pre), shrink)
        self._update(found, Rule(learning_rate, self.settings.betas, 2 / (tokens * self.width)))
        mse, l1, fires = found.told.read()
        return Step(mse, l1 / tokens, fires / tokens, found.fired)

    def reconstruct(self, x: Tensor) -> Tensor:
        """x̂ (B, n), in float32."""
        codes = torch.addmm(self.bias.T, self._centred(x), self.encoder.T).relu_()
        return torch.addmm(self.offset, codes, self.decoder)

    def revive(self, dead: Tensor, inputs: Tensor) -> None:
        """Point features (k,) at inputs (k, n): decoder x − b_d at unit norm, encoder the same at
        0.2 of the living encoders' mean norm, bias 0, Adam as if they had never taken a step. A
        vector at b_d itself points nowhere: its feature stays as it is."""
        directions = inputs - self.offset
        lengths = directions.norm(dim=1, keepdim=True)
        somewhere = lengths[:, 0] > 0
        dead, directions = dead[somewhere], directions[somewhere] / lengths[somewhere]
        living = torch.ones(self.features, dtype=torch.bool, device=dead.device)
        living[dead] = False
        norms = self.encoder.norm(dim=1)
        norm = norms[living].mean() if living.any() else norms.mean()
        self.decoder[dead] = directions
        self.encoder[dead] = directions * norm * REVIVED_NORM
        self.bias[dead] = 0
        self.steps[dead] = 0
        for name in ("encoder", "decoder", "bias"):
            for moment in self.moments[name]:
                moment[dead] = 0
        self._copy_weights()

    def folded(self, scale: float) -> Folded:
        """The weights for raw activations, centring and scale folded in (in float64).

        W_enc = (W_e (I − 11ᵀ/n))ᵀ, b_enc = (b_e − mean(b_d) W_e 1) / s, b_dec = b_d / s.
        """
        encoder, bias, offset = (t.double().cpu() for t in (self.encoder, self.bias, self.offset))
        bias, offset = bias[:, 0], offset[0]
        if self.settings.centering == "element":
            bias = bias - offset.mean() * encoder.sum(1)
            encoder = encoder - encoder.mean(1, keepdim=True)
        return Folded(
            W_enc=encoder.T.float().contiguous(),
            b_enc=(bias / scale).float(),
            W_dec=self.decoder.cpu().clone(),
            b_dec=(offset / scale).float(),
        )

    def _centred(self, x: Tensor) -> Tensor:
        if self.settings.centering == "element":
            x = x - x.mean(1, keepdim=True)
        return x - self.offset

    def _pre_activations(self, centred: Tensor) -> Tensor:
        pre = self._buffer("pre", (len(centred), self.features))
        return torch.addmm(
            self.bias[:, 0].to(self.dtype), centred.to(self.dtype), self._encoder.T, out=pre
        )

    def _dense_gradients(
        self, x: Tensor, centred: Tensor, pre: Tensor, active: Tensor, shrink: float
    ) -> Gradients:
        codes, sums = pre, dense.activate(pre)
        reconstruction = self._buffer("reconstruction", x.shape)
        error = torch.mm(codes, self._decoder, out=reconstruction) + (self.offset - x)
        told = Readback(error.square().mean(), sums.float().sum(), active)
        rounded, centred = error.to(self.dtype), centred.to(self.dtype)
        slopes = torch.mm(rounded, self._decoder.T, out=self._buffer("slopes", pre.shape))
        share = torch.full((), shrink, device=slopes.device)
        bias = dense.mask(slopes, codes, share).float()
        up = torch.mm(slopes.T, centred, out=self._buffer("up", self.encoder.shape))
        down = torch.mm(codes.T, rounded, out=self._buffer("down", self.decoder.shape))
        up, down = self._for_update("float up", up), self._for_update("float down", down)
        return Gradients(up, down, bias, error, fired=sums > 0, told=told)

    def _for_update(self, name: str, gradient: Tensor) -> Tensor:
        """The gradient as `update_rows` takes it."""
        if not self.kernels or gradient.dtype == torch.float32:
            return gradient
        return self._buffer(name, gradient.shape, torch.float32).copy_(gradient)

    def _sparse_gradients(
        self, x: Tensor, centred: Tensor, pre: Tensor, counts: np.ndarray, shrink: float
    ) -> Gradients:
        codes = sparse.compress(sparse.bits(pre), counts)
        error = self.offset - x
        slopes = sparse.decode(codes, self.decoder.numpy(), error.numpy(), shrink)
        pairs = sparse.by_feature(codes, slopes, self.features)
        up = self._buffer("float up", self.encoder.shape, torch.float32)
        down = self._buffer("float down", self.decoder.shape, torch.float32)
        sparse.gradients(pairs, error.numpy(), centred.numpy(), up.numpy(), down.numpy())
        l1 = torch.tensor(codes.values.sum(dtype=np.float64))
        return Gradients(
            encoder=up,
            decoder=down,
            bias=torch.from_numpy(pairs.sums),
            error=error,
            fired=torch.from_numpy(np.diff(pairs.starts) > 0),
            told=Readback(error.square().mean(), l1, torch.tensor(len(codes.values))),
        )

    def _update(self, found: Gradients, rule: Rule) -> None:
        offset = found.error.sum(0) - torch.mv(self.encoder.T, found.bias)
        self.steps += 1
        self.offset_steps += 1
        pace, moments = Pace.of(self.steps, rule), self.moments
        update = update_rows if self.kernels else update_rows_torch
        copied = self.dtype != torch.float32
        up, down = (self._encoder, self._decoder) if copied else (None, None)
        update(self.encoder, found.encoder, moments["encoder"], pace, rule, False, up)
        update(self.decoder, found.decoder, moments["decoder"], pace, rule, True, down)
        update(self.bias, found.bias[:, None], moments["bias"], pace, rule)
        pace = Pace.of(self.offset_steps, rule)
        update(self.offset, offset[None], moments["offset"], pace, rule)

    def _copy_weights(self) -> None:
        """The weights in the products' dtype."""
        if self.dtype == torch.float32:
            self._encoder, self._decoder = self.encoder, self.decoder
            return
        for name in ("encoder", "decoder"):
            weight = getattr(self, name)
            setattr(self, f"_{name}", self._buffer(f"{name} copy", weight.shape).copy_(weight))

    def _buffer(
        self, name: str, shape: tuple[int, ...], dtype: torch.dtype | None = None
    ) -> Tensor:
        """Memory that is kept from step to step: fresh pages cost more than the arithmetic."""
        kept = self._buffers.get(name)
        if kept is None or kept.shape != shape:
            kept = torch.empty(shape, dtype=dtype or self.dtype, device=self.decoder.device)
            self._buffers[name] = kept
        return kept
