"""The training loop of base models and fine-tunes: AdamW, cosine schedule, exact resume.

A step is a function of the state and of its number alone, so a run that goes on from a checkpoint
gives the bytes of an uninterrupted one (on the CPU, with the same number of threads).
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils import clip_grad_norm_
from transformers import PreTrainedModel

from featflow.config.errors import FeatflowError
from featflow.config.models import Training
from featflow.models.blocks import Batches, Blocks
from featflow.models.losses import linear_cross_entropy
from featflow.models.parallel import share, summed, synchronised
from featflow.models.readout import multiplies, parts, token_losses
from featflow.runtime.checkpoints import Checkpoint, Checkpoints
from featflow.runtime.device import autocast, device, product_dtype
from featflow.runtime.log import log, progress
from featflow.runtime.torchrun import rank, world

ROWS = 500
"""Rows of training.parquet, at most."""

FLASH_FROM = 512
"""Tokens of a block from which on a CPU's flash kernel is as fast as plain products."""


class TrainingError(FeatflowError):
    """The loss, or a weight, is no number any more."""


def train(
    model: PreTrainedModel,
    blocks: Blocks,
    settings: Training,
    seed: int,
    checkpoints: Checkpoints,
) -> pd.DataFrame:
    """Train a model in place on blocks of token ids.

    Returns:
        A row every few steps: step, tokens (seen so far), loss (the mean since the row before, in
        nats a token) and learning_rate.

    Raises:
        TrainingError: when the loss or a weight is not finite; neither ever is in a checkpoint.
        Stop: when a signal came, after saving a checkpoint.
    """
    batches = Batches(len(blocks), settings.batch, settings.epochs, seed)
    run = _Run(model, settings, len(batches), blocks.context)
    if found := checkpoints.latest():
        run.restore(found)
    elif bad := run.not_finite():
        raise TrainingError(f"{bad} is not finite before the first step: train the parent again")
    with attention(run.where, blocks.context, run.dtype):
        for step in progress(range(run.step, len(batches)), "steps", done=run.step):
            own = (rank() << 40) + seed * 1_000_003 + step
            torch.manual_seed(own)  # for the dropout of models that have it
            run.advance(blocks[batches[step]])
            if len(run.losses) == run.every or run.step == len(batches):
                run.record(checkpoints)
            if checkpoints.due():
                run.save(checkpoints)
    if not found or found.step < run.step:
        run.save(checkpoints)
    return pd.DataFrame(run.rows, columns=["step", "tokens", "loss", "learning_rate"])


class _Run:
    """The state of a run: model, optimizer, the number of steps done, and the log."""

    def __init__(self, model: PreTrainedModel, settings: Training, steps: int, context: int):
        self.where = device()
        self.dtype = product_dtype(settings.precision, self.where)
        self.model = model.to(self.where).train()  # type: ignore[arg-type]
        self.settings, self.steps, self.context = settings, steps, context
        self.warmup = warmup(settings.warmup_steps, steps)
        self.every = math.ceil(steps / ROWS)
        self.optimizer = optimizer(model, settings)
        self.loss = synchronised(_Loss(model, self.dtype))
        self.step = self.tokens = 0
        self.losses: list[Tensor] = []
        self.rows: list[list[float]] = []

    def advance(self, batch: np.ndarray) -> None:
        """One step on a batch (B, L) of token ids, of which each process has a share."""
        own, part = share(batch)
        rate = self.settings.learning_rate * schedule(self.step, self.steps, self.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = self.loss(on(self.where, own)) * part
        self.optimizer.zero_grad(set_to_none=True)
        (loss * world()).backward()  # what follows is the mean over the processes
        if self.settings.gradient_clip is not None:
            clip_grad_norm_(self.model.parameters(), self.settings.gradient_clip)
        self.optimizer.step()
        self.losses.append(summed(loss.detach()))
        self.tokens += batch.size
        self.step += 1

    def record(self, checkpoints: Checkpoints) -> None:
        """Add a row to the log."""
        losses = self._checked(checkpoints)
        rate = float(self.optimizer.param_groups[0]["lr"])
        self.rows.append([self.step, self.tokens, float(np.mean(losses)), rate])
        self.losses = []

    def save(self, checkpoints: Checkpoints) -> None:
        """Write the state, unless it has gone bad."""
        moments = self.optimizer.state_dict()["state"]
        tensors = {f"model.{name}": value for name, value in self.model.named_parameters()}
        for index, state in moments.items():
            tensors |= {f"optimizer.{index}.{key}": value for key, value in state.items()}
        losses = self._checked(checkpoints)
        self.check_weights(checkpoints)
        meta = {"tokens": self.tokens, "losses": losses, "rows": self.rows}
        checkpoints.save(self.step, tensors, meta)

    def restore(self, found: Checkpoint) -> None:
        """Go back to the state of a checkpoint."""
        with torch.no_grad():
            for name, value in self.model.named_parameters():
                value.copy_(found.tensors[f"model.{name}"])
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in found.tensors.items():
            if key.startswith("optimizer."):
                _, index, name = key.split(".")
                moments.setdefault(int(index), {})[name] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.step, self.tokens = found.step, found.meta["tokens"]
        self.rows = found.meta["rows"]
        self.losses = [torch.tensor(loss) for loss in found.meta["losses"]]

    def _checked(self, checkpoints: Checkpoints) -> list[float]:
        """The losses since the last row. On a GPU this waits for the steps, hence not at each."""
        losses = [float(loss) for loss in self.losses]
        for back, loss in zip(range(len(losses) - 1, -1, -1), losses, strict=True):
            if not math.isfinite(loss):
                raise self._diverged(f"the loss became {loss}", self.step - back, checkpoints)
        return losses

    def check_weights(self, checkpoints: Checkpoints) -> None:
        """Raise TrainingError if a weight is bad: a step may spoil it and the next one notice."""
        if bad := self.not_finite():
            raise self._diverged(f"{bad} became not finite", self.step, checkpoints)

    def not_finite(self) -> str | None:
        """The name of a weight that is NaN or infinite, if any is."""
        named = self.model.named_parameters()
        return next((name for name, value in named if not value.isfinite().all()), None)

    def _diverged(self, what: str, step: int, checkpoints: Checkpoints) -> TrainingError:
        rate = self.settings.learning_rate
        return TrainingError(
            f"{what} at step {step} of {self.steps}; {checkpoints.told()}. The same command goes "
            f"on from a checkpoint; other settings start anew: try a smaller learning_rate (it is "
            f"{rate:g}), more warmup_steps, a gradient_clip of 1, or precision: float32"
        )


def on(where: torch.device, block: np.ndarray) -> Tensor:
    """Token ids (B, L) on a device. A GPU copies them, from pinned memory, while it still works on
    the step before: nothing in a step waits for it, so that this is always ahead."""
    ids = torch.from_numpy(block.astype(np.int64))
    return ids.pin_memory().to(where, non_blocking=True) if where.type == "cuda" else ids.to(where)


class _Loss(torch.nn.Module):
    """The loss as a module, as torch's data-parallel training wants it."""

    def __init__(self, model: PreTrainedModel, dtype: torch.dtype):
        super().__init__()
        self.model, self.dtype = model, dtype

    def forward(self, ids: Tensor) -> Tensor:
        """Mean next-token loss of ids (B, L)."""
        return next_token_loss(self.model, ids, self.dtype)


def next_token_loss(model: PreTrainedModel, ids: Tensor, dtype: torch.dtype) -> Tensor:
    """Mean cross-entropy (nats) of ids (B, L), every position but the last predicting the next."""
    if not multiplies(model):
        with autocast(dtype, ids.device):
            return token_losses(model, ids)[0].mean()
    body, head = parts(model)
    with autocast(dtype, ids.device):
        hidden = body(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    return linear_cross_entropy(hidden.flatten(0, 1), head, ids[:, 1:].flatten(), dtype)


def optimizer(model: PreTrainedModel, settings: Training) -> torch.optim.AdamW:
    """AdamW; matrices (the embeddings too) decay, norms and biases do not.

    So do the Hugging Face Trainer and nanoGPT: decay bounds the weights of products, and would only
    pull a norm's scale away from 1.
    """
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=settings.betas, fused=True)


def warmup(asked: int, steps: int) -> int:
    """Steps of warm-up: at most a third of the run."""
    most = steps // 3
    if asked > most:
        log.warning("warmup_steps: %d is over a third of %d steps; using %d", asked, steps, most)
    return min(asked, most)


def schedule(step: int, steps: int, warmup: int) -> float:
    """The share of the learning rate at a step counted from 0: a linear rise, a cosine to 0."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


@contextmanager
def attention(where: torch.device, context: int, dtype: torch.dtype) -> Iterator[None]:
    """On the CPU, in bfloat16, plain products in blocks of up to FLASH_FROM tokens: its flash
    kernel has a slow backward pass there. A GPU decides by itself.
    """
    if where.type != "cpu" or dtype == torch.float32 or context >= FLASH_FROM:
        yield
        return
    before = torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed()
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)  # the CPU's, too
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(before)
