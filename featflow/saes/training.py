"""Training a sparse autoencoder: data, scale, start, steps, record, checkpoints.

Shapes: B tokens a batch, N sampled vectors, n inputs, m features.
"""

import math
from collections.abc import Generator
from contextlib import closing
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor

from featflow.config.errors import FeatflowError
from featflow.config.saes import Activations, Sae
from featflow.runtime.ahead import ahead
from featflow.runtime.checkpoints import Checkpoints
from featflow.runtime.log import log, progress
from featflow.saes.architectures import Autoencoder, StepRecord, autoencoder
from featflow.saes.batches import Batch, Position, Shards, batches, sample
from featflow.saes.resampling import Revival

RECORDS = 200
"""Rows of the training table."""

SAMPLED = 65_536
"""Vectors in the sample."""

SMALLEST = 1e-30
"""Of an element: its inverse is still far from float32's largest number."""

BAD_DATA = (
    "the activations hold numbers that are not finite: the model's weights are no good; look at "
    "its training.parquet, and train the model again"
)


class Diverged(FeatflowError):
    """The loss, or a weight, is no longer a number."""


class Trained(NamedTuple):
    """What training gives."""

    autoencoder: Autoencoder
    scale: float
    """Activations were multiplied by this."""
    longest: float
    """Rows with a norm above this were left out; infinite, where none is."""
    table: pd.DataFrame
    """step, tokens, loss, what the architecture records, dead, revived, learning_rate; all in that
    scale."""


class Training:
    """A run from its first step to its last; everything that changes is in `state`."""

    def __init__(
        self,
        settings: Sae,
        shards: Shards,
        seed: int,
        activations: Activations,
        device: torch.device,
    ):
        """Args: the SAE's settings; its data; its seed; how these are scaled and which of them are
        outliers; where to compute."""
        self.settings, self.shards, self.seed, self.device = settings, shards, seed, device
        found, norms = sample(shards, SAMPLED, seed)
        if not found.isfinite().all():
            raise Diverged(BAD_DATA)
        width = found.shape[1]
        self.longest = longest_row(norms, activations.outliers)
        outliers = int((norms > self.longest).sum())
        if outliers:
            log.warning(
                "%s of %s sampled rows are longer than %g (%g medians), and not trained on",
                f"{outliers:,}",
                f"{len(norms):,}",
                self.longest,
                activations.outliers,
            )
        inside = norms <= self.longest
        self.sample = found[inside].to(device)
        self.batch = settings.batch * shards.shard(0).rows.shape[1]
        self.steps = max(1, math.ceil(settings.tokens / self.batch))
        element = typical_element(norms[inside], width)
        self.scale = unit_scale(element) if activations.scale == "unit" else 1.0
        self.sample *= self.scale
        self.sae = autoencoder(settings, width, seed, device)
        self.sae.prepare(self.steps, element * self.scale)
        self.revival = Revival(
            self.sae.resampling, self.steps, self.sae.features, seed, device, self.sae.silence
        )
        self.records: list[dict[str, float]] = []
        self.done = 0
        self._next = Position()
        self._revived = 0
        self._told = ""

    def run(self, checkpoints: Checkpoints) -> Trained:
        """Train from the newest checkpoint, or from the start, to the end.

        Raises:
            Diverged: when the loss or a weight is no number; neither ever is in a checkpoint.
            Stop: when a signal asked for the end; the state is saved.
        """
        found, self._told = checkpoints.latest(), checkpoints.told()
        if found:
            self.restore(found.step, found.tensors, found.meta)
        else:
            self.sae.start_at(geometric_median(self.sample))
        left = range(self.done + 1, self.steps + 1)
        with closing(self._stream()) as stream:
            for step, batch in progress(
                zip(left, stream, strict=False), "steps", self.steps, self.done
            ):
                self.step(step, batch.rows)
                self._next = batch.next
                if step == self.steps or checkpoints.due():
                    self._check_weights()
                    checkpoints.save(step, *self.state)
                    self._told = checkpoints.told()
        if complaint := self.sae.complaint():
            log.warning("%s", complaint)
        return Trained(self.sae, self.scale, self.longest, pd.DataFrame(self.records))

    def _stream(self) -> Generator[Batch]:
        """The batches that are left; beside a GPU's work, a thread makes them ready.

        On the CPU there is nobody to make them meanwhile, and a batch takes 2 % of a step.
        """
        gpu = self.device.type == "cuda"
        stream = batches(self.shards, self.batch, self.seed, self._next, self.longest, pinned=gpu)
        return ahead(stream) if gpu else stream

    def step(self, step: int, batch: Tensor) -> None:
        """Step number `step` (from 1 on) on a raw batch (B, n), bfloat16."""
        x = batch.to(self.device, non_blocking=True).float().mul_(self.scale)
        rate = learning_rate(self.settings, step, self.steps)
        record = self.sae.learn(x, step, rate, lambda: self.revival.dead(step - 1))
        if not math.isfinite(record.loss):
            if not x.isfinite().all():
                raise Diverged(BAD_DATA)
            raise self._diverged(f"the loss became {record.loss}", step)
        self.revival.note(step, record.fired)
        if self.revival.due(step) and self.sae.settled:
            self._revived += self.revival.revive(step, self.sae, self.sample)
        self.done = step
        if step % max(1, self.steps // RECORDS) == 0 or step == self.steps:
            self._record(record, rate, len(x))

    def _check_weights(self) -> None:
        """Raise Diverged if a weight is bad: a NaN in the encoder only silences its feature."""
        for name, tensor in self.sae.state.items():
            if not tensor.isfinite().all():
                raise self._diverged(f"the SAE's {name} became not finite", self.done)

    def _diverged(self, what: str, step: int) -> Diverged:
        rate = f"a smaller learning_rate of the SAE (it is {self.settings.learning_rate:g})"
        remedies = [rate, "a warmup", "or precision: float32"]
        more = "".join(f", or {remedy}" for remedy in self.sae.remedies())
        return Diverged(
            f"{what} at step {step} of {self.steps}; {self._told}. The same command goes on from a "
            f"checkpoint; other settings start anew: try {', '.join(remedies)}{more}"
        )

    def _record(self, record: StepRecord, rate: float, tokens: int) -> None:
        self.records.append(
            {
                "step": self.done,
                "tokens": self.done * tokens,
                "loss": record.loss,
                **record.record,
                "dead": len(self.revival.dead(self.done)) / self.sae.features,
                "revived": self._revived,
                "learning_rate": rate,
            }
        )
        self._revived = 0

    @property
    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The tensors and the rest that a checkpoint must hold."""
        tensors, meta = self.revival.state
        weights = {f"sae.{name}": tensor for name, tensor in self.sae.state.items()}
        rest = {
            "sae": self.sae.notes,
            "records": self.records,
            "revived": self._revived,
            "next": list(self._next),
        }
        return {**tensors, **weights}, {**meta, **rest}

    def restore(self, step: int, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Go on from a `state` after `step` steps."""
        prefix = "sae."
        weights = {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}
        self.sae.restore(weights, meta["sae"])
        self.revival.restore(tensors, meta)
        self.records, self._revived, self.done = list(meta["records"]), meta["revived"], step
        self._next = Position(*meta["next"])


def learning_rate(settings: Sae, step: int, steps: int) -> float:
    """The rate at step 1 … steps: linear rise, plateau, linear fall to 0 behind the last step."""
    rise = step / (settings.warmup * steps) if settings.warmup else 1.0
    fall = (steps + 1 - step) / (settings.decay * steps + 1) if settings.decay else 1.0
    return settings.learning_rate * min(1.0, rise, fall)


def typical_element(norms: Tensor, width: int) -> float:
    """median‖x‖ / √n of vectors with these norms (N,) and n numbers: its inverse is the scale
    `unit`. (A median, since a few vectors may be a thousand times as long as the others.)"""
    return _typical(norms) / math.sqrt(width)


def longest_row(norms: Tensor, outliers: float | None) -> float:
    """The norm above which a vector is an outlier: so many medians of norms (N,); None: none is."""
    typical = _typical(norms)
    return math.inf if outliers is None or not typical else outliers * typical


def _typical(norms: Tensor) -> float:
    """The median of those that are not 0; 0 where all are."""
    there = norms[norms > 0]
    return float(there.double().median()) if len(there) else 0.0


def unit_scale(element: float) -> float:
    """What activations are multiplied by to have typical elements of 1.

    Args:
        element: a typical element as it is.

    Returns:
        Its inverse; 1 where it is 0, or so small that nothing but rounding would be made large.
    """
    if element > SMALLEST:
        return 1 / element
    log.warning(
        "the activations at the hook are all zero: this SAE learns nothing, every feature "
        "of it will be silent"
    )
    return 1.0


def geometric_median(x: Tensor, iterations: int = 100, tolerance: float = 1e-6) -> Tensor:
    """The point (n,) of least summed distance to x (N, n), by Weiszfeld's algorithm.

    Args:
        x: the vectors.
        iterations: at most this many.
        tolerance: end when a step is smaller than this share of the vectors' mean distance.
    """
    median = x.mean(0)
    for _ in range(iterations):
        distance = (x - median).norm(dim=1)
        weights = 1 / distance.clamp_min(1e-9 * float(distance.mean()) + 1e-30)
        moved = (weights @ x) / weights.sum()
        step = float((moved - median).norm())
        median = moved
        if step <= tolerance * float(distance.mean()):
            break
    return median
