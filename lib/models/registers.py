"""Learned tokens beside those of the faces."""

import torch
from torch import Tensor, nn


class Registers(nn.Module):
    """Learned tokens, the same for each event when the fusion begins.

    Source: Darcet et al., "Vision transformers need registers", arXiv:2309.16588.

    Args:
        num_registers: How many.
        dim: Width of a token.
    """

    def __init__(self, num_registers: int, dim: int) -> None:
        super().__init__()
        self.tokens = nn.Parameter(torch.empty(num_registers, dim))
        nn.init.trunc_normal_(self.tokens, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return tokens of shape (B, T, D) with the registers behind them, (B, T + R, D)."""
        return torch.cat([tokens, self.tokens.expand(tokens.shape[0], -1, -1)], dim=1)
