"""Stochastic depth."""

import torch
from torch import Tensor, nn


class DropPath(nn.Module):
    """Leaves out a residual branch for some events of a training batch, and scales it up for the others.

    Source: Huang et al., "Deep networks with stochastic depth", arXiv:1603.09382; scaled as in inverted dropout, so
        that evaluation needs no correction.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        """Return the branch, zeroed for a share ``rate`` of the events while training; shape (B, ...)."""
        if not self.training or self.rate == 0.0:
            return branch
        keep = 1.0 - self.rate
        shape = (branch.shape[0],) + (1,) * (branch.ndim - 1)
        kept = torch.rand(shape, device=branch.device) < keep
        return branch * (kept.to(branch.dtype) / keep)

    def extra_repr(self) -> str:
        """Return what ``repr`` shows between the brackets."""
        return f"rate={self.rate}"


def drop_path_rates(largest: float, depth: int) -> list[float]:
    """Return the rates of ``depth`` successive blocks, growing linearly from 0 to the largest.

    A single block keeps its branch: its rate is the first of the ramp.
    """
    return [largest * block / max(depth - 1, 1) for block in range(depth)]
