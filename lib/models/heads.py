"""Heads that read physical quantities off the tokens."""

from torch import Tensor, nn
from torch.nn import functional


class RegressionHead(nn.Module):
    """One hidden layer over the tokens of all faces side by side.

    Side by side, because where the light falls is told by which face saw it; a mean over faces would forget that.

    Args:
        num_tokens: Tokens of an event.
        dim: Width of a token.
        hidden_dim: Width of the hidden layer.
        out_dim: Numbers that are predicted.
    """

    def __init__(self, num_tokens: int, dim: int, hidden_dim: int, out_dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(num_tokens * dim)
        self.hidden = nn.Linear(num_tokens * dim, hidden_dim)
        self.out = nn.Linear(hidden_dim, out_dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return predictions of shape (B, out_dim) for tokens of shape (B, T, D)."""
        return self.out(functional.gelu(self.hidden(self.norm(tokens.flatten(1)))))
