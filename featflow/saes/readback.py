"""Numbers of a device that the host reads later, while the device goes on with other work."""

import torch
from torch import Tensor


class Readback:
    """A few numbers, on their way to the host from the moment this is made."""

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
