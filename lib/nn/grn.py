"""Global response normalization and the pointwise layers around it."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.nn.gelu_squares import gelu_squares
from lib.nn.visible import VisiblePositions

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

    def scale(self, x: Tensor, squares: Tensor | None = None) -> Tensor:
        """Return the factor of each channel, shape (B, 1, C) float32, for positions of shape (B, N, C).

        Args:
            x: The positions.
            squares: Their squares summed over the positions, where somebody has them: (B, 1, C), float32.
        """
        if squares is None:
            # A sum over thousands of pixels is kept in float32.
            squares = x.square().sum(dim=1, keepdim=True, dtype=torch.float32)
        # The offset keeps the root differentiable at zero.
        norm = torch.sqrt(squares + 1e-12)
        return 1.0 + self.gamma * norm / (norm.mean(dim=-1, keepdim=True) + 1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scaled positions, shape (B, N, C)."""
        return x * self.scale(x).to(x.dtype) + self.beta.to(x.dtype)

    def then_linear(self, x: Tensor, linear: nn.Linear, squares: Tensor | None = None) -> Tensor:
        """Return ``linear(self(x))``, with the factors carried by the weights of each event instead of its positions.

        The same function, but no copy of the image in the widest part of the block: a third less time on a CPU. Images
        of fewer positions than the layer has outputs are smaller than the weights, and scaled themselves.

        Args:
            x: Positions of shape (B, N, C).
            linear: A layer from C channels with a bias.
            squares: As for ``scale``.
        """
        scale = self.scale(x, squares)
        if x.shape[1] < linear.out_features:
            return linear(x * scale.to(x.dtype) + self.beta.to(x.dtype))
        weight = linear.weight * scale  # (out, C) * (B, 1, C) -> (B, out, C)
        bias = functional.linear(self.beta, linear.weight, linear.bias)
        return torch.baddbmm(bias, x, weight.to(x.dtype).transpose(1, 2))


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

    def forward(self, x: Tensor, visible: VisiblePositions | None = None) -> Tensor:
        """Transform positions of shape (B, N, C).

        Args:
            x: The positions.
            visible: Which of them count; what is said of the others is zero, and they have no part in the norms.
        """
        if visible is None:
            hidden, squares = gelu_squares(self.expand(self.norm(x)))
            return self.response_norm.then_linear(hidden, self.project, squares)
        if visible.order is None:
            hidden = functional.gelu(self.expand(self.norm(x)))
            squares = (hidden * visible.mask).square().sum(dim=1, keepdim=True, dtype=torch.float32)
            return self.response_norm.then_linear(hidden, self.project, squares) * visible.mask.to(x.dtype)
        # Rows of zeros at the end of events with fewer visible positions all become the same, which is subtracted.
        hidden, squares = gelu_squares(self.expand(self.norm(visible.pick(x))))
        squares = squares - visible.count_hidden_rows() * self._square_of_zeros(x)
        return visible.put_back(self.response_norm.then_linear(hidden, self.project, squares.clamp_min(0.0)))

    def _square_of_zeros(self, x: Tensor) -> Tensor:
        """Return the square of what a position of zeros becomes before the response normalization, shape (1, 1, C)."""
        return functional.gelu(self.expand(self.norm(x.new_zeros(1, 1, x.shape[2])))).float().square()
