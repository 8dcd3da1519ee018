"""ConvNeXt blocks for sensors on a staggered lattice, whose neighbours come from a table."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.nn.drop_path import DropPath
from lib.nn.grn import PointwiseLayers
from lib.nn.visible import VisiblePositions


class NeighbourConvolution(nn.Module):
    """Depthwise convolution over a table of neighbours: one weight per direction and channel.

    Args:
        dim: Number of channels.
        neighbours: Position of each neighbour, shape (N, K), one column per direction; -1 where there is none.
    """

    neighbours: Tensor

    def __init__(self, dim: int, neighbours: Tensor) -> None:
        super().__init__()
        num_positions, num_directions = neighbours.shape
        # A missing neighbour points to a row of zeros behind the last position.
        padded = torch.where(neighbours < 0, num_positions, neighbours)
        self.register_buffer("neighbours", padded.long().flatten(), persistent=False)
        self.weight = nn.Parameter(torch.empty(num_directions, dim))
        self.bias = nn.Parameter(torch.zeros(dim))
        nn.init.trunc_normal_(self.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve features of shape (B, N, C)."""
        padded = functional.pad(x, (0, 0, 0, 1))
        gathered = padded.index_select(1, self.neighbours).unflatten(1, (x.shape[1], len(self.weight)))
        return (gathered * self.weight).sum(dim=2) + self.bias  # (B, N, K, C) -> (B, N, C)


class HexNextBlock(nn.Module):
    """The ConvNeXt V2 block with its convolution over a table of neighbours; residual.

    Args:
        dim: Number of channels.
        neighbours: As for ``NeighbourConvolution``.
        drop_path_rate: Probability of leaving the block out while training.
    """

    def __init__(self, dim: int, neighbours: Tensor, drop_path_rate: float = 0.0) -> None:
        super().__init__()
        self.depthwise = NeighbourConvolution(dim, neighbours)
        self.pointwise = PointwiseLayers(dim)
        self.drop_path = DropPath(drop_path_rate)

    def forward(self, x: Tensor, visible: VisiblePositions | None = None) -> Tensor:
        """Transform features of shape (B, N, C), which are zero where they are not visible and stay so."""
        return x + self.drop_path(self.pointwise(self.depthwise(x), visible))
