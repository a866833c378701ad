"""What needs torch to say: the device, the precision, reproducible arithmetic."""

import os
import random
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch

from featflow.core.config.models import Precision


def device() -> torch.device:
    """FEATFLOW_DEVICE, or the first GPU, or the CPU."""
    named = os.environ.get("FEATFLOW_DEVICE")
    return torch.device(named or ("cuda" if torch.cuda.is_available() else "cpu"))


def product_dtype(precision: Precision, where: torch.device) -> torch.dtype:
    """The dtype of matrix products: `auto` is bfloat16 where the hardware has it."""
    if precision != "auto":
        return getattr(torch, precision)
    native = torch.cuda.is_bf16_supported() if where.type == "cuda" else _cpu_has_bf16()
    return torch.bfloat16 if native else torch.float32


def _cpu_has_bf16() -> bool:
    capabilities = torch.cpu.get_capabilities()
    return bool(
        capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16")
    )


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
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Nothing here reads memory before it writes it; filling it first takes 6 % of a training step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return torch.Generator().manual_seed(seed)
