"""What one-layer autoencoders share: their weights, Adam, and the gradients of a step.

    x̄ = x − b_d, or what the architecture makes of x
    f = ReLU(W_e x̄ + b_e), of the features that the architecture selects
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

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from featflow.config.saes import OneLayerSettings, Resampling
from featflow.runtime.device import product_dtype
from featflow.saes import sparse
from featflow.saes.adam import Moments, Pace, Rule, match_threads, update_rows, update_rows_torch
from featflow.saes.fused import Fused

SPARSE_BELOW = {torch.bfloat16: 0.08, torch.float32: 0.3}
"""The share of active pairs below which sparse products are the faster ones (measured)."""

REVIVED_NORM = 0.2
"""The norm of a revived encoder row, in mean norms of the living (Bricken et al. 2023)."""


class Step(NamedTuple):
    """What a training step says of its batch, before the step was taken."""

    mse: float
    """Mean over tokens and elements of (x − x̂)²."""
    l1: float
    """Mean over tokens of Σ f."""
    l0: float
    """Mean over tokens of how many features fire."""
    fired: Tensor
    """Which features fired at all: (m,) bool."""


class Readback:
    """A few numbers of a device, on their way to the host from the moment this is made, while the
    device goes on with other work."""

    def __init__(self, *numbers: Tensor):
        """Args: tensors () of one device."""
        values = torch.stack([number.double() for number in numbers])
        self._event: torch.cuda.Event | None = None
        if values.device.type == "cuda":
            self._host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
            self._host.copy_(values, non_blocking=True)
            self._event = torch.cuda.Event()
            self._event.record()
        else:
            self._host = values

    def read(self) -> list[float]:
        """The numbers; waits for them, and for nothing that was asked of the device since."""
        if self._event is not None:
            self._event.synchronize()
        return self._host.tolist()


class Gradients(NamedTuple):
    """Up to the factor 2 / (B n), and what the step reports."""

    encoder: Tensor
    decoder: Tensor
    bias: Tensor
    error: Tensor
    fired: Tensor
    told: Readback
    """mse, l1 and active pairs, the latter two summed over the batch."""


class OneLayer:
    """The weights, their optimiser, and one training step.

    An architecture says what is encoded (`_centred`), which features may fire (`_select`), and adds
    to the gradients (`_more`). Of the rest of `Autoencoder` (saes/architectures) it overrides what
    it has: by default nothing is prepared, steered, resampled or complained of.
    """

    def __init__(self, settings: OneLayerSettings, width: int, seed: int, device: torch.device):
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

    @property
    def notes(self) -> dict[str, Any]:
        """None."""
        return {}

    def restore(self, state: dict[str, Tensor], notes: dict[str, Any]) -> None:
        """Go on from a `state` and its `notes`."""
        for name, tensor in self.state.items():
            tensor.copy_(state[name])
        self._copy_weights()

    def prepare(self, steps: int, element: float) -> None:
        """Nothing."""

    @property
    def resampling(self) -> Resampling | None:
        """None."""
        return None

    @property
    def silence(self) -> float:
        """As with resampling by default."""
        return Resampling().silent

    @property
    def settled(self) -> bool:
        """From the first step on."""
        return True

    def complaint(self) -> str | None:
        """None."""
        return None

    def remedies(self) -> list[str]:
        """None."""
        return []

    def raw_weights(
        self, scale: float, encoder: Tensor | None = None, bias: Tensor | None = None
    ) -> dict[str, Any]:
        """The weights for raw activations in float32, as a dictionary has them:
        W_enc = W_eᵀ, b_enc = b_e / s, W_dec = W_d, b_dec = b_d / s.

        Args:
            scale: s; training saw x · s.
            encoder: (m, n) in place of W_e.
            bias: (m,) in place of b_e.
        """
        encoder = self.encoder if encoder is None else encoder
        bias = self.bias[:, 0] if bias is None else bias
        return {
            "W_enc": encoder.cpu().T.float().contiguous(),
            "b_enc": (bias.double().cpu() / scale).float(),
            "W_dec": self.decoder.cpu().clone(),
            "b_dec": (self.offset[0].double().cpu() / scale).float(),
        }

    def start_at(self, offset: Tensor) -> None:
        """Begin with b_d = offset (n,)."""
        self.offset.copy_(offset)

    def step(self, x: Tensor, learning_rate: float, penalty: float = 0.0) -> Step:
        """One step of Adam on a batch (B, n); `penalty` is λ."""
        tokens = len(x)
        centred = self._centred(x)
        pre = self._select(self._pre_activations(centred))
        shrink = penalty * self.width / 2
        if self.kernels:
            counts = sparse.count_positive(sparse.bits(pre))
            active = int(counts.sum())
            if active < SPARSE_BELOW[self.dtype] * pre.numel():
                found = self._sparse_gradients(x, centred, pre, counts, shrink)
            else:
                found = self._dense_gradients(x, centred, pre, torch.tensor(active), shrink)
        else:
            found = self._dense_gradients(x, centred, pre, count(pre), shrink)
        found = self._more(found, x, centred)
        self._update(found, Rule(learning_rate, self.settings.betas, 2 / (tokens * self.width)))
        mse, l1, fires = found.told.read()
        return Step(mse, l1 / tokens, fires / tokens, found.fired)

    def reconstruct(self, x: Tensor) -> Tensor:
        """x̂ (B, n), in float32."""
        pre = torch.addmm(self.bias.T, self._centred(x), self.encoder.T)
        return torch.addmm(self.offset, self._select(pre).relu_(), self.decoder)

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

    def _centred(self, x: Tensor) -> Tensor:
        """What the encoder reads of x (B, n)."""
        return x - self.offset

    def _select(self, pre: Tensor) -> Tensor:
        """The pre-activations (B, m) with those of features that must not fire made 0, in place."""
        return pre

    def _more(self, gradients: Gradients, x: Tensor, centred: Tensor) -> Gradients:
        """The gradients with what the architecture's loss adds to them, in place."""
        return gradients

    def _pre_activations(self, centred: Tensor) -> Tensor:
        pre = self._buffer("pre", (len(centred), self.features))
        return torch.addmm(
            self.bias[:, 0].to(self.dtype), centred.to(self.dtype), self._encoder.T, out=pre
        )

    def _dense_gradients(
        self, x: Tensor, centred: Tensor, pre: Tensor, active: Tensor, shrink: float
    ) -> Gradients:
        codes, sums = pre, activate(pre)
        reconstruction = self._buffer("reconstruction", x.shape)
        error = torch.mm(codes, self._decoder, out=reconstruction) + (self.offset - x)
        told = Readback(error.square().mean(), sums.float().sum(), active)
        rounded, centred = error.to(self.dtype), centred.to(self.dtype)
        slopes = torch.mm(rounded, self._decoder.T, out=self._buffer("slopes", pre.shape))
        share = torch.full((), shrink, device=slopes.device)
        bias = mask(slopes, codes, share).float()
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


# The passes between the dense products of a step: one sweep each where they are fused.


def _count(pre: Tensor) -> Tensor:
    return (pre > 0).sum()


def _activate(pre: Tensor) -> Tensor:
    return pre.relu_().sum(0)


def _mask(slopes: Tensor, codes: Tensor, shrink: Tensor) -> Tensor:
    slopes.add_(shrink)
    torch.ops.aten.threshold_backward.grad_input(slopes, codes, 0, grad_input=slopes)
    return slopes.sum(0)


count = Fused(_count)
"""How many of the pre-activations (B, m) are positive: () int64."""

activate = Fused(_activate)
"""Make codes of pre-activations (B, m), in place; their sums over tokens: (m,)."""

mask = Fused(_mask)
"""Add the penalty's share () to the slopes (B, m) of active pairs, in place, and make the others 0;
the sums over tokens: (m,). Args: the slopes, the codes (B, m), the share."""
