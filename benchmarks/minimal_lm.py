"""A language model and its training loop as one would write them in an hour, after nanoGPT.

The peer of featflow's training: the same Mistral model as a plain module, bfloat16 autocast, the
whole matrix of logits, `F.cross_entropy`, fused AdamW, clipping at 1, no logging, no checkpoints.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel


class Block(nn.Module):
    """Attention with grouped keys and rotary positions, and a SiLU-gated MLP."""

    def __init__(self, hidden: int, intermediate: int, heads: int, kv_heads: int):
        super().__init__()
        self.heads, self.kv_heads, self.size = heads, kv_heads, hidden // heads
        self.q, self.o = (nn.Linear(hidden, hidden, bias=False) for _ in range(2))
        self.k, self.v = (nn.Linear(hidden, kv_heads * self.size, bias=False) for _ in range(2))
        self.gate, self.up = (nn.Linear(hidden, intermediate, bias=False) for _ in range(2))
        self.down = nn.Linear(intermediate, hidden, bias=False)
        self.before, self.between = (nn.RMSNorm(hidden, 1e-6) for _ in range(2))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """x (B, L, H) → (B, L, H)."""
        y = self.before(x)
        split = (*x.shape[:2], -1, self.size)
        q, k, v = (layer(y).view(split).transpose(1, 2) for layer in (self.q, self.k, self.v))
        q, k = (rotated(z, cos, sin) for z in (q, k))
        enable = self.heads != self.kv_heads
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=enable)
        x = x + self.o(y.transpose(1, 2).flatten(2))
        y = self.between(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions: x (B, heads, L, D) turned by the angles of cos and sin (L, D)."""
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


class Mistral(nn.Module):
    """From ids (B, L) to logits (B, L, V)."""

    def __init__(self, vocabulary, hidden, intermediate, layers, heads, kv_heads, context):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, hidden)
        sizes = hidden, intermediate, heads, kv_heads
        self.blocks = nn.ModuleList(Block(*sizes) for _ in range(layers))
        self.norm = nn.RMSNorm(hidden, 1e-6)
        self.head = nn.Linear(hidden, vocabulary, bias=False)
        size = hidden // heads
        rates = 10_000 ** (-torch.arange(0, size, 2) / size)
        angles = torch.outer(torch.arange(context), rates).repeat(1, 2)
        self.register_buffer("cos", angles.cos().bfloat16())
        self.register_buffer("sin", angles.sin().bfloat16())
        for weight in self.parameters():
            if weight.ndim == 2:
                nn.init.normal_(weight, std=0.02)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits, in bfloat16 under autocast."""
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        return self.head(self.norm(x))


def train(
    model: Callable[[Tensor], Tensor],
    parameters: list[nn.Parameter],
    blocks: np.ndarray,
    batch: int,
    steps: int,
    backend: SDPBackend,
) -> float:
    """The loop: `steps` steps of `batch` blocks each. Gives the last loss."""
    device = parameters[0].device
    decayed = [p for p in parameters if p.ndim == 2]
    others = [p for p in parameters if p.ndim < 2]
    groups = [{"params": decayed}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=6e-4, weight_decay=0.1, fused=True)
    order = np.random.default_rng(0).permutation(len(blocks))
    with sdpa_kernel(backend):
        for step in range(steps):
            rows = order[step * batch : (step + 1) * batch]
            ids = torch.from_numpy(blocks[rows].astype(np.int64))
            if device.type == "cuda":
                ids = ids.pin_memory().to(device, non_blocking=True)
            for group in optimizer.param_groups:
                group["lr"] = 3e-4 * (1 + math.cos(math.pi * step / steps))
            with torch.autocast(device.type, torch.bfloat16):
                logits = model(ids)[:, :-1]
                loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
    return loss.item()
