"""Autocast of the forward pass."""

from contextlib import AbstractContextManager, nullcontext

import torch

from lib.training.config import Precision


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which forward passes run.

    bf16 has the exponent range of fp32, so gradients need no scaling; losses are computed in fp32 by the tasks.
    """
    if precision == "none":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)
