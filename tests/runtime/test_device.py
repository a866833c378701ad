"""Precision by hardware, and reproducible arithmetic."""

import subprocess
import sys

import pytest
import torch

from featflow.runtime.device import bf16_is_faster, product_dtype, seeded

EPYC = {"cpu_name": "AMD EPYC", "avx512_bf16": True}
XEON = {"cpu_name": "Intel Xeon", "avx512_bf16": True}


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({}, False),
        (EPYC, True),
        (EPYC | {"avx512_bf16": False}, False),
        (XEON, False),  # half the rate of float32
        (XEON | {"amx_bf16": True}, True),
        ({"bf16": True}, True),  # ARM
    ],
)
def test_bfloat16_is_chosen_where_it_is_faster(capabilities, expected, monkeypatch):
    assert bf16_is_faster(capabilities) is expected
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    chosen = product_dtype("auto", torch.device("cpu"))
    assert chosen == (torch.bfloat16 if expected else torch.float32)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_precision_that_is_asked_for_is_taken(precision):
    assert product_dtype(precision, torch.device("cpu")) == getattr(torch, precision)


def test_seeding_is_deterministic_and_imports_no_compiler():
    code = (
        "import sys, torch; from featflow.runtime.device import seeded; seeded(1);"
        "assert torch.are_deterministic_algorithms_enabled();"
        "assert torch.is_deterministic_algorithms_warn_only_enabled();"
        "sys.exit('torch._inductor.config' in sys.modules and not torch.cuda.is_available())"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    numbers = [torch.rand(3, generator=seeded(5)) for _ in range(2)]
    assert torch.equal(*numbers)
