"""Elementwise work that torch.compile makes into few sweeps over memory, where there is a GPU."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from featflow.runtime.log import log


class Fused:
    """A function of tensors, compiled at its first call on a GPU; on a CPU it stays as it is.

    Numbers among the arguments should stay the same from call to call: each new one compiles anew.
    Where compiling fails (no Triton, no C compiler), one warning says so and torch runs the
    operations one by one.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        devices: tuple[str, ...] = ("cuda",),
        backend: str = "inductor",
    ):
        """Args: the function; on which kinds of device to compile it; torch.compile's backend."""
        self.function = function
        self._devices, self._backend = devices, backend
        self._compiled: Callable[..., Any] | None = None

    def __call__(self, first: Tensor, *rest: Any) -> Any:
        """The function's result, of these arguments; the first one says where."""
        if first.device.type not in self._devices:
            return self.function(first, *rest)
        if self._compiled is None:  # not before: it imports a compiler
            self._compiled = torch.compile(self.function, dynamic=False, backend=self._backend)
        try:
            return self._compiled(first, *rest)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # whatever the toolchain raises, before anything has run
            if self._compiled is self.function:
                raise
            self._compiled = self.function
            why = next(iter(str(error).strip().splitlines()), type(error).__name__)
            log.warning("torch.compile does not work here, going on without it: %s", why)
            return self.function(first, *rest)
