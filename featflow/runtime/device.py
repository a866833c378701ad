"""What needs torch to say: the device, the precision, reproducible arithmetic."""

import os
import random
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch

from featflow.config.models import Precision


def device() -> torch.device:
    """FEATFLOW_DEVICE, or the first GPU, or the CPU."""
    named = os.environ.get("FEATFLOW_DEVICE")
    return torch.device(named or ("cuda" if torch.cuda.is_available() else "cpu"))


def product_dtype(precision: Precision, where: torch.device) -> torch.dtype:
    """The dtype of matrix products: `auto` is bfloat16 where it is faster than float32."""
    if precision != "auto":
        return getattr(torch, precision)
    if where.type == "cuda":
        faster = torch.cuda.is_bf16_supported()
    else:
        faster = bf16_is_faster(torch.cpu.get_capabilities())
    return torch.bfloat16 if faster else torch.float32


def bf16_is_faster(capabilities: Mapping[str, object]) -> bool:
    """Whether a CPU multiplies bfloat16 matrices faster than float32 ones.

    Intel's AVX512_BF16 alone, where a virtual machine hides AMX, has half of float32's rate
    (measured on Emerald Rapids: 86 GFLOP/s a core beside 166); AMD's is the faster one.

    Args:
        capabilities: as `torch.cpu.get_capabilities` names them.
    """
    if capabilities.get("amx_bf16") or capabilities.get("bf16"):
        return True
    intel = "intel" in str(capabilities.get("cpu_name", "")).lower()
    return bool(capabilities.get("avx512_bf16")) and not intel


def autocast(dtype: torch.dtype, where: torch.device) -> AbstractContextManager:
    """Mixed precision with float32 master weights; nothing at all for float32."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(where.type, dtype=dtype)


def seeded(seed: int) -> torch.Generator:
    """Seed every global generator, ask for deterministic kernels, and give a generator."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    if torch.cuda.is_available():
        torch.use_deterministic_algorithms(True, warn_only=True)
    else:  # the same without torch's compiler, whose import takes a second
        torch.set_deterministic_debug_mode("warn")
    # Nothing here reads memory before it writes it; filling it first takes 6 % of a training step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return torch.Generator().manual_seed(seed)
