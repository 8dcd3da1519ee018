"""Weights of several losses that are learnt beside the model."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class LossBalance(nn.Module):
    """Knows the logarithm s of the typical size of each loss, from which exp(-s) weighs it.

    The sum of exp(-s) * loss + s is smallest where s is the logarithm of the loss: every task then counts by its
    relative progress, whatever the size of its residuals. The parameters belong to the model, so that optimizer,
    average and checkpoint know them.

    Args:
        names: What is weighed.

    Source: A. Kendall, Y. Gal and R. Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses",
        arXiv:1705.07115, section 3; s stands for log sigma^2 there.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.log_sizes = nn.Parameter(torch.zeros(len(self.names)))

    def forward(self) -> dict[str, Tensor]:
        """Return s of each loss, scalars by name."""
        return dict(zip(self.names, self.log_sizes.float().unbind(), strict=True))


def balanced(summed: Tensor, log_size: Tensor, count: Tensor) -> Tensor:
    """Return the sum of exp(-s) * loss + s over events, of the sum and count of losses that are never negative."""
    return torch.exp(-log_size) * summed + log_size * count
