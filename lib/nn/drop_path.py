"""Stochastic depth."""

import torch
from torch import Tensor, nn


class DropPath(nn.Module):
    """Leaves out a residual branch for some events of a training batch, and scales it up for the others.

    Source: Huang et al., "Deep networks with stochastic depth", arXiv:1603.09382; scaled as in inverted dropout, so
        that evaluation needs no correction.

    Attributes:
        rate: Probability that an event loses the branch.
        factors: What the branch of each event is multiplied by, shape (B,), where ``PathDraws`` has drawn it; None
            draws at each call.
    """

    factors: Tensor | None

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.factors = None

    def forward(self, branch: Tensor) -> Tensor:
        """Return the branch, zeroed for a share ``rate`` of the events while training; shape (B, ...)."""
        if not self.training or self.rate == 0.0:
            return branch
        factors = self.factors
        if factors is None:
            keep = 1.0 - self.rate
            factors = (torch.rand(branch.shape[0], device=branch.device) < keep) / keep
        return branch * factors.to(branch.dtype).view(-1, *(1,) * (branch.ndim - 1))

    def extra_repr(self) -> str:
        """Return what ``repr`` shows between the brackets."""
        return f"rate={self.rate}"


class PathDraws:
    """Draws which events lose which branches for a whole batch, so that it does not matter how the batch is cut.

    It also keeps random numbers out of a compiled model.

    Args:
        model: Its ``DropPath`` modules are drawn for.
    """

    def __init__(self, model: nn.Module) -> None:
        self._modules = [module for module in model.modules() if isinstance(module, DropPath) and module.rate > 0.0]
        self._keep = torch.tensor([1.0 - module.rate for module in self._modules])[:, None]
        self._factors = self._keep[:, :0]

    def draw(self, num_events: int, device: torch.device) -> None:
        """Draw for the events of the next batch."""
        if not self._modules:
            return
        if self._keep.device != device:
            self._keep = self._keep.to(device)
        drawn = torch.rand(len(self._modules), num_events, device=device)
        self._factors = (drawn < self._keep) / self._keep

    def use_rows(self, first: int, last: int) -> None:
        """Let the modules use what was drawn for the events from ``first`` to before ``last``."""
        for module, factors in zip(self._modules, self._factors, strict=True):
            module.factors = factors[first:last]

    def forget(self) -> None:
        """Let the modules draw for themselves again."""
        for module in self._modules:
            module.factors = None


def drop_path_rates(largest: float, depth: int) -> list[float]:
    """Return the rates of ``depth`` successive blocks, growing linearly from 0 to the largest.

    A single block keeps its branch: its rate is the first of the ramp.
    """
    return [largest * block / max(depth - 1, 1) for block in range(depth)]
