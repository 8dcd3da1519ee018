"""Global response normalization and the pointwise layers around it."""

import torch
from torch import Tensor, nn
from torch.nn import functional

EXPANSION = 4


class GlobalResponseNorm(nn.Module):
    """Lets the channels of an image compete: each is scaled by its norm over the image relative to the others.

    Source: Woo et al., "ConvNeXt V2", arXiv:2301.00808, algorithm 1.

    Args:
        dim: Number of channels.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(dim))
        self.beta = nn.Parameter(torch.zeros(dim))

    def scale(self, x: Tensor) -> Tensor:
        """Return the factor of each channel, shape (B, 1, C), for positions of shape (B, N, C)."""
        # In bfloat16 a sum over thousands of pixels loses its last two digits.
        norm = torch.linalg.vector_norm(x, dim=1, keepdim=True, dtype=torch.float32)
        relative = norm / (norm.mean(dim=-1, keepdim=True) + 1e-6)
        return 1.0 + self.gamma * relative

    def forward(self, x: Tensor) -> Tensor:
        """Return the scaled positions, shape (B, N, C)."""
        return x * self.scale(x).to(x.dtype) + self.beta.to(x.dtype)


class PointwiseLayers(nn.Module):
    """The part of a ConvNeXt V2 block that looks at one position at a time: LN, expansion, GELU, GRN, projection.

    Args:
        dim: Number of channels in and out.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, EXPANSION * dim)
        self.response_norm = GlobalResponseNorm(EXPANSION * dim)
        self.project = nn.Linear(EXPANSION * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Transform positions of shape (B, N, C)."""
        hidden = functional.gelu(self.expand(self.norm(x)))
        return self.project(self.response_norm(hidden))
