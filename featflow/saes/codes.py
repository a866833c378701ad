"""An SAE's features as sparse codes: what fires at each token, and what the decoder says of it.

The encoder's product is the one thing that is as large as (T, m); it goes into memory that is kept
from batch to batch, since fresh pages of that size cost more than looking for what fires in it.

    f = activate((x − b_dec) W_enc + b_enc), x̂ = f W_dec + b_dec, in float32; without the
    subtraction where the SAE says so; `activate` is the architecture's (saes/dictionary.py).

No feature fires at a row that is longer than those that the SAE was trained on (an outlier, such as
a sink of attention): nearly all would, and a handful of such rows would decide every correlation.

Shapes: T tokens, n inputs, m features, nnz active pairs of token and feature.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator

import numba
import numpy as np
import torch
from torch import Tensor

from featflow.config.errors import FeatflowError
from featflow.saes.adam import match_threads
from featflow.saes.dictionary import Dictionary
from featflow.saes.sparse import PARTS, Codes


class Encoder:
    """An SAE that gives its features' activations as codes: the very bits of `Dictionary.encode`,
    but for rows that are outliers to it, where none fires."""

    def __init__(self, sae: Dictionary):
        """Args: the SAE, on the device where the activations are."""
        self.sae = sae
        self._on_gpu = sae.b_enc.device.type != "cpu"
        self._side = torch.cuda.Stream(sae.b_enc.device) if self._on_gpu else None
        self._buffers: dict[tuple[str, int], Tensor] = {}
        match_threads()

    def codes(self, x: Tensor) -> Codes:
        """The codes of x (T, n).

        Raises:
            FeatflowError: when an activation is not finite.
        """
        return next(self.stream([x]))

    def stream(self, batches: Iterable[Tensor]) -> Iterator[Codes]:
        """The codes of each batch (T, n), in order.

        A GPU is given the next batch before the codes of the last one are waited for.

        Raises:
            FeatflowError: when an activation is not finite.
        """
        waiting: deque[tuple[Tensor, object]] = deque()
        for turn, x in enumerate(batches):
            waiting.append(self._begun(x, turn % 2 if self._on_gpu else 0))
            while len(waiting) > int(self._on_gpu):
                yield self._finished(*waiting.popleft())
        while waiting:
            yield self._finished(*waiting.popleft())

    @torch.inference_mode()
    def _begun(self, x: Tensor, turn: int) -> tuple[Tensor, object]:
        """The product (T, m) of a batch, and the event that says when it is there.

        On a GPU it is f; on a CPU the bias is yet to be added: `Dictionary.codes` does it.
        """
        outside = self.sae.outside(x) if math.isfinite(self.sae.longest) else None
        if self.sae.apply_b_dec_to_input:
            centred = self._buffer("centred", turn, x.shape)
            x = torch.sub(x, self.sae.b_dec, out=centred)
        product = self._buffer("product", turn, (len(x), self.sae.features))
        torch.mm(x, self.sae.W_enc, out=product)
        if outside is not None:
            product[outside] = -math.inf
        if not self._on_gpu:
            return product, None
        product = self.sae.activate(product.add_(self.sae.b_enc))
        return product, torch.cuda.current_stream(x.device).record_event()

    @torch.inference_mode()
    def _finished(self, product: Tensor, event: object) -> Codes:
        if not self._on_gpu:
            return checked(self.sae.codes(product.numpy()))
        side = self._side
        assert side is not None
        with torch.cuda.stream(side):
            side.wait_event(event)  # type: ignore[arg-type]
            return checked(picked(product))

    def _buffer(self, name: str, turn: int, shape: tuple[int, ...]) -> Tensor:
        kept = self._buffers.get((name, turn))
        if kept is None or len(kept) < shape[0]:
            kept = self._buffers[name, turn] = torch.empty(shape, device=self.sae.b_enc.device)
        return kept[: shape[0]]


def checked(codes: Codes) -> Codes:
    """The same codes.

    Raises:
        FeatflowError: when one is negative or not finite.
    """
    values = codes.values
    if not (np.isfinite(values) & (values > 0)).all():
        raise FeatflowError(
            "a feature's activation is negative or not finite: the weights of the model or of the "
            "SAE are no good; look at their training.parquet, and train the one that diverged again"
        )
    return codes


def picked(features: Tensor) -> Codes:
    """The non-zeros of f (T, m) by torch's own operations, which any device has.

    The device is waited for twice: for how many there are, and for their copies.
    """
    rows, columns = features.nonzero(as_tuple=True)
    parts = (
        (features != 0).sum(1),
        columns.to(torch.int32),
        features[rows, columns],
    )
    copies = [part.to("cpu", non_blocking=True) for part in parts]  # into pinned memory
    if features.is_cuda:
        torch.cuda.current_stream(features.device).synchronize()
    counts, indices, values = (copy.numpy() for copy in copies)
    return Codes(np.concatenate([[0], np.cumsum(counts)]), indices, values)


def positive(product: np.ndarray, bias: np.ndarray) -> Codes:
    """The codes of ReLU(product + bias): its positive entries, and any that is no number.

    Args:
        product: (T, m) float32.
        bias: (m,) float32.
    """
    indptr = np.zeros(len(product) + 1, np.int64)
    _count(product, bias, indptr[1:])
    np.cumsum(indptr, out=indptr)
    indices, values = np.empty(indptr[-1], np.int32), np.empty(indptr[-1], np.float32)
    _collect(product, bias, indptr, indices, values)
    return Codes(indptr, indices, values)


def head(codes: Codes, rows: int) -> Codes:
    """The codes of the first `rows` tokens; nothing is copied."""
    stop = codes.indptr[rows]
    return Codes(codes.indptr[: rows + 1], codes.indices[:stop], codes.values[:stop])


def decode(codes: Codes, sae: Dictionary) -> np.ndarray:
    """x̂ (T, n) of an SAE on the CPU."""
    out = np.empty((len(codes.indptr) - 1, sae.width), np.float32)
    _decode(*codes, sae.W_dec.numpy(), sae.b_dec.numpy(), out)
    return out


@numba.njit(parallel=True, cache=True)
def _count(product, bias, counts):
    for i in numba.prange(product.shape[0]):
        count = np.int32(0)
        for j in range(product.shape[1]):
            count += np.int32(not (product[i, j] + bias[j] <= 0))  # so that a NaN counts
        counts[i] = count


@numba.njit(parallel=True, cache=True)
def _collect(product, bias, indptr, indices, values):
    rows, m = product.shape
    size = (rows + PARTS - 1) // PARTS
    for part in numba.prange(PARTS):
        fires = np.empty(m + 1, np.int32)
        for i in range(part * size, min(rows, (part + 1) * size)):
            count = 0
            for j in range(m):  # without a branch: it would be mispredicted at every active feature
                fires[count] = j
                count += not (product[i, j] + bias[j] <= 0)
            for c in range(count):
                indices[indptr[i] + c] = fires[c]
                values[indptr[i] + c] = product[i, fires[c]] + bias[fires[c]]


@numba.njit(parallel=True, fastmath=True, cache=True)
def _decode(indptr, indices, values, decoder, offset, out):
    for i in numba.prange(len(indptr) - 1):
        row, stop = out[i], indptr[i + 1]
        row[:] = offset
        fours = indptr[i] + (stop - indptr[i]) // 4 * 4
        for p in range(indptr[i], fours, 4):  # four at a time: the row is read and written once
            w0, w1, w2, w3 = values[p], values[p + 1], values[p + 2], values[p + 3]
            d0, d1 = decoder[indices[p]], decoder[indices[p + 1]]
            d2, d3 = decoder[indices[p + 2]], decoder[indices[p + 3]]
            for k in range(row.shape[0]):
                row[k] += (w0 * d0[k] + w1 * d1[k]) + (w2 * d2[k] + w3 * d3[k])
        for p in range(fours, stop):
            w0, d0 = values[p], decoder[indices[p]]
            for k in range(row.shape[0]):
                row[k] += w0 * d0[k]
