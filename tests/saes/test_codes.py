"""Codes are the very bits of the plain encoder's non-zeros, for any shape and on any path."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from featflow.config.errors import FeatflowError
from featflow.saes import codes
from featflow.saes.architectures.relu import ReluDictionary
from featflow.saes.codes import Encoder, decode, head, picked
from tests.features import dense


def drawn(
    seed: int, width: int, features: int, bias: float = 0.0, centred: bool = True
) -> ReluDictionary:
    generator = torch.Generator().manual_seed(seed)
    shapes = (width, features), (features,), (features, width), (width,)
    encoder, b_enc, decoder, b_dec = (torch.randn(s, generator=generator) for s in shapes)
    b_enc += bias
    b_enc[0] = -1e6  # never fires, if there are more than one
    b_enc[-1] = 1e6  # always does
    return ReluDictionary(encoder, b_enc, decoder, b_dec, apply_b_dec_to_input=centred)


def inputs(seed: int, rows: int, width: int) -> torch.Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))


def same(found, expected) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32), st.integers(1, 90), st.integers(1, 12), st.integers(1, 80),
    st.sampled_from([-1e9, -3.0, 0.0, 3.0]), st.booleans(),
)  # fmt: skip
def test_codes_are_the_bits_of_the_plain_form(seed, rows, width, features, bias, centred):
    """Rows on which only the last feature fires, one feature, and batches of two sizes."""
    sae = drawn(seed, width, features, bias, centred)
    encoder = Encoder(sae)
    for size in (rows, max(1, rows // 2)):  # the second one in memory that is too large
        x = inputs(seed + size, size, width)
        same(encoder.codes(x), dense.nonzeros(sae.encode(x)))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 60), st.booleans(), st.floats(0, 1))
def test_no_feature_fires_at_a_row_longer_than_it_was_trained_on(seed, rows, centred, share):
    sae, x = drawn(seed, 6, 40, 0.0, centred), inputs(seed, rows, 6)
    norms = x.norm(dim=1)
    longest = float(norms.quantile(share))
    expected = torch.where((norms > longest)[:, None], 0.0, sae.encode(x))
    same(Encoder(replace(sae, longest=longest)).codes(x), dense.nonzeros(expected))


def test_a_row_that_is_not_finite_is_no_outlier():
    sae = replace(drawn(0, 4, 9), longest=1.0)
    for value in (float("inf"), float("nan")):
        x = inputs(1, 5, 4)
        x[2, 1] = value
        with pytest.raises(FeatflowError, match="negative or not finite"):
            Encoder(sae).codes(x)


def test_batches_share_memory_and_nothing_else():
    sae, parts = drawn(0, 12, 100), inputs(1, 700, 12).split(256)
    found = list(Encoder(sae).stream(parts))
    assert [len(each.indptr) - 1 for each in found] == [256, 256, 188]
    for each, part in zip(found, parts, strict=True):
        same(each, dense.nonzeros(sae.encode(part)))


def test_torchs_own_operations_find_the_same():
    """As on a GPU."""
    features = drawn(0, 12, 100).encode(inputs(1, 300, 12))
    features[7] = 0
    same(picked(features), dense.nonzeros(features))


@pytest.mark.parametrize("value", [float("nan"), -float("nan"), float("inf")])
def test_what_is_no_activation_is_refused(value):
    sae = drawn(0, 4, 9)
    sae.b_enc[3] = value
    with pytest.raises(FeatflowError, match="negative or not finite"):
        Encoder(sae).codes(inputs(1, 5, 4))
    with pytest.raises(FeatflowError, match="negative or not finite"):
        codes.checked(picked(sae.encode(inputs(1, 5, 4))))
    with pytest.raises(FeatflowError, match="negative or not finite"):
        codes.checked(dense.codes(np.array([[0.5, -1.0]])))


def test_minus_infinity_is_silence():
    sae = drawn(0, 4, 9)
    sae.b_enc[3] = -float("inf")
    found = Encoder(sae).codes(inputs(1, 50, 4))
    assert 3 not in found.indices and len(found.indices)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 20), st.integers(1, 30),
    st.sampled_from([0.0, 0.1, 1.0]),
)  # fmt: skip
def test_decoding_is_the_plain_product_in_float64(seed, rows, width, features, density):
    sae = drawn(seed, width, features)
    rng = np.random.default_rng(seed)
    f = (rng.random((rows, features)) * (rng.random((rows, features)) < density)).astype(np.float32)
    found = decode(dense.codes(f), sae)
    expected = f @ sae.W_dec.double().numpy() + sae.b_dec.double().numpy()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5 * (1 + density * features))


def test_the_first_rows():
    f = np.array([[0, 1, 2], [0, 0, 0], [3, 0, 0]])
    for rows in range(4):
        same(head(dense.codes(f), rows), dense.codes(f[:rows]))


def test_the_number_of_threads_changes_no_bit():
    import numba

    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("one core")
    sae, x = drawn(0, 12, 100), inputs(1, 300, 12)
    product = (x @ sae.W_enc).numpy()
    before, found = numba.get_num_threads(), []
    for threads in (1, 2):
        numba.set_num_threads(threads)
        each = codes.positive(product, sae.b_enc.numpy())
        found.append([*each, decode(each, sae)])
    numba.set_num_threads(before)
    same(*found)
