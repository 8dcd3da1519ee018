"""Light decoders: from the token of a face to a prediction for each of its sensors."""

import torch
from torch import Tensor, nn

from lib.geometry.hex_grid import NUM_STAGGERED, neighbour_table
from lib.geometry.sensors import STAGGERED_ROWS
from lib.models.face_networks import HEX_POOLED_COLUMNS, POOLED_SHAPE
from lib.models.outer_cells import GRID_SHAPE, cells_to_sensors
from lib.nn.area_average import area_average_matrix, grid_average_matrix
from lib.nn.convnext import ConvNextBlock, PatchExpansion, patch_grid
from lib.nn.hexnext import HexNextBlock


class TokenExpansion(nn.Module):
    """Unfolds a token into a few areas of the face, and spreads these over its positions.

    Args:
        token_dim: Width of what describes the face.
        dim: Channels of a position.
        spread: Weights from areas to positions, shape (N, areas).
    """

    spread: Tensor

    def __init__(self, token_dim: int, dim: int, spread: Tensor) -> None:
        super().__init__()
        self.num_areas = spread.shape[1]
        self.areas = nn.Linear(token_dim, self.num_areas * dim)
        self.position = nn.Parameter(torch.empty(len(spread), dim))
        nn.init.trunc_normal_(self.position, std=0.02)
        self.register_buffer("spread", spread, persistent=False)

    def forward(self, token: Tensor) -> Tensor:
        """Return positions of shape (B, N, dim) for tokens of shape (B, token_dim)."""
        areas = self.areas(token).unflatten(1, (self.num_areas, -1))
        return torch.matmul(self.spread, areas) + self.position


class RectangularDecoder(nn.Module):
    """Decodes a rectangular face on a grid of patches, each of which is unfolded into its sensors.

    Args:
        shape: (H, W) of the face.
        patch: Side of a patch.
        token_dim: Width of what describes the face.
        dim: Channels of the decoder.
        num_channels: Numbers predicted per sensor.
    """

    def __init__(self, shape: tuple[int, int], patch: int, *, token_dim: int, dim: int, num_channels: int) -> None:
        super().__init__()
        self.grid = patch_grid(shape, patch)
        self.expand = TokenExpansion(token_dim, dim, grid_average_matrix(POOLED_SHAPE, self.grid))
        self.block = ConvNextBlock(dim)
        self.norm = nn.LayerNorm(dim)
        self.out = PatchExpansion(dim, num_channels, patch, shape)

    def forward(self, token: Tensor) -> Tensor:
        """Return predictions of shape (B, H * W, C) for tokens of shape (B, token_dim)."""
        x = self.block(self.expand(token).unflatten(1, self.grid))
        return self.out(self.norm(x)).flatten(1, 2)


class OuterDecoder(nn.Module):
    """Decodes the outer face on a grid, and averages it over the cells of each of its 234 sensors.

    Args:
        token_dim: Width of what describes the face: all of its tokens side by side.
        dim: Channels of the decoder.
        num_channels: Numbers predicted per sensor.
    """

    average: Tensor

    def __init__(self, *, token_dim: int, dim: int, num_channels: int) -> None:
        super().__init__()
        self.expand = TokenExpansion(token_dim, dim, grid_average_matrix(POOLED_SHAPE, GRID_SHAPE))
        self.block = ConvNextBlock(dim)
        self.register_buffer("average", cells_to_sensors(), persistent=False)
        self.position = nn.Parameter(torch.empty(len(self.average), dim))
        nn.init.trunc_normal_(self.position, std=0.02)
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, num_channels)

    def forward(self, token: Tensor) -> Tensor:
        """Return predictions of shape (B, 234, C) for tokens of shape (B, token_dim)."""
        cells = self.block(self.expand(token).unflatten(1, GRID_SHAPE)).flatten(1, 2)
        return self.out(self.norm(torch.matmul(self.average, cells) + self.position))


class StaggeredDecoder(nn.Module):
    """Decodes the top or bottom face at its 73 sensors.

    Args:
        token_dim: Width of what describes the face.
        dim: Channels of the decoder.
        num_channels: Numbers predicted per sensor.
    """

    def __init__(self, *, token_dim: int, dim: int, num_channels: int) -> None:
        super().__init__()
        spread = torch.block_diag(*(area_average_matrix(HEX_POOLED_COLUMNS, length) for length in STAGGERED_ROWS))
        assert len(spread) == NUM_STAGGERED
        self.expand = TokenExpansion(token_dim, dim, spread)
        self.block = HexNextBlock(dim, torch.tensor(neighbour_table()))
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, num_channels)

    def forward(self, token: Tensor) -> Tensor:
        """Return predictions of shape (B, 73, C) for tokens of shape (B, token_dim)."""
        return self.out(self.norm(self.block(self.expand(token))))
