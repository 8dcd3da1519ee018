"""Transformer layer with the normalization in front."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.nn.drop_path import DropPath


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return scaled dot-product attention, shape (B, heads, Q, C), to keys and values of shape (B, heads, T, C)."""
    if torch.compiler.is_exporting():
        # The exporter turns keys round by way of their shape, in ten operations, and scales each factor by a root.
        return torch.matmul(torch.softmax(torch.matmul(query * query.shape[-1] ** -0.5, key.mT), dim=-1), value)
    return functional.scaled_dot_product_attention(query, key, value)


class SelfAttention(nn.Module):
    """Multi-head attention among the tokens of an event.

    Args:
        dim: Width of a token.
        num_heads: Heads; must divide ``dim``.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query_key_value = nn.Linear(dim, 3 * dim)
        self.project = nn.Linear(dim, dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """Mix tokens of shape (B, T, D)."""
        split = self.query_key_value(tokens).unflatten(-1, (3, self.num_heads, -1))
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, heads, T, D / heads)
        mixed = attend(query, key, value)
        return self.project(mixed.transpose(1, 2).flatten(2))


class TransformerLayer(nn.Module):
    """Attention and a feed-forward network, each on normalized tokens and each a residual.

    Source: Xiong et al., "On layer normalization in the transformer architecture", arXiv:2002.04745.

    Args:
        dim: Width of a token.
        num_heads: Attention heads; must divide ``dim``.
        dim_feedforward: Width of the hidden layer.
        drop_path_rate: Probability of leaving out each of the two branches while training.
    """

    def __init__(self, dim: int, num_heads: int, dim_feedforward: int, drop_path_rate: float = 0.0) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = SelfAttention(dim, num_heads)
        self.feedforward_norm = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, dim_feedforward)
        self.project = nn.Linear(dim_feedforward, dim)
        self.drop_path = DropPath(drop_path_rate)

    def forward(self, tokens: Tensor) -> Tensor:
        """Transform tokens of shape (B, T, D)."""
        tokens = tokens + self.drop_path(self.attention(self.attention_norm(tokens)))
        hidden = functional.gelu(self.expand(self.feedforward_norm(tokens)))
        return tokens + self.drop_path(self.project(hidden))
