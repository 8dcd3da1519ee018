"""Layers that stay in float32 under autocast."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def in_float32(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return ``layer(x)`` computed in the precision of the layer's weights, whatever autocast wants.

    bfloat16 rounds by up to 0.4 %, which is not small against an energy resolution of 1 %: numbers that are computed
    from sums over the detector pass through here, images do not.
    """
    if not torch.is_autocast_enabled(x.device.type):
        return layer(x)
    with without_autocast(x.device.type):
        return layer(x.float())


def without_autocast(device_type: str) -> AbstractContextManager[object]:
    """Return a context in which nothing is rounded to bfloat16; its inputs may have been and are not changed back.

    Where autocast is off it is not entered at all: an exported graph has no place for it.
    """
    if torch.is_autocast_enabled(device_type):
        return torch.autocast(device_type, enabled=False)
    return nullcontext()
