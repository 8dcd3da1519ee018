"""Networks that turn the sensors of one face into its token."""

import torch
from torch import Tensor, nn

from lib.geometry.hex_grid import neighbour_table
from lib.geometry.sensors import STAGGERED_ROWS
from lib.models.config import EncoderConfig
from lib.models.sensor_inputs import NUM_FEATURES
from lib.nn.area_average import area_average_matrix, grid_average_matrix
from lib.nn.convnext import ConvNextBlock, PatchProjection, patch_grid
from lib.nn.drop_path import drop_path_rates
from lib.nn.hexnext import HexNextBlock

POOLED_SHAPE = (4, 4)
HEX_POOLED_COLUMNS = 3
SMALLEST_SIDE = 4
"""No side of an image is halved below this."""


def grid_coordinates(shape: tuple[int, int]) -> Tensor:
    """Return row and column of each position of a grid, both from -1 to 1, shape (H, W, 2)."""
    sides = [(torch.arange(n, dtype=torch.float32) + 0.5) * (2.0 / n) - 1.0 for n in shape]
    return torch.stack(torch.meshgrid(*sides, indexing="ij"), dim=-1)


class PositionalStem(nn.Module):
    """Projects patches of an image to the first stage's channels, and tells each where it is.

    Args:
        shape: (H, W) of the image.
        in_dim: Channels of the image.
        out_dim: Channels of the first stage.
        patch: Side of a patch.
    """

    coordinates: Tensor

    def __init__(self, shape: tuple[int, int], in_dim: int, out_dim: int, patch: int = 1) -> None:
        super().__init__()
        self.shape = patch_grid(shape, patch)
        self.patches = PatchProjection(in_dim, out_dim, patch)
        self.position = nn.Linear(2, out_dim, bias=False)
        self.norm = nn.LayerNorm(out_dim)
        self.register_buffer("coordinates", grid_coordinates(self.shape), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Project (B, H, W, in_dim) to (B, h, w, out_dim)."""
        return self.norm(self.patches(image) + self.position(self.coordinates))


class RectangularNetwork(nn.Module):
    """ConvNeXt V2 stages on an image, averaged to a 4 x 4 grid and projected to one token.

    Between stages the image is halved, as long as no side falls below four.

    Attributes:
        grids: (H, W) of the image in each stage.

    Args:
        shape: (H, W) of the image.
        config: Stages and width of the token.
        patch: Side of the patches of the stem.
    """

    pooling: Tensor

    def __init__(self, shape: tuple[int, int], config: EncoderConfig, patch: int = 1) -> None:
        super().__init__()
        dims = config.stage_dims
        rates = iter(drop_path_rates(config.drop_path_rate, sum(config.stage_depths)))
        self.stem = PositionalStem(shape, NUM_FEATURES, dims[0], patch)
        self.grids = [self.stem.shape]
        self.stages = nn.Sequential()
        for stage, (dim, depth) in enumerate(zip(dims, config.stage_depths, strict=True)):
            if stage > 0:
                step = 2 if min(patch_grid(self.grids[-1], 2)) >= SMALLEST_SIDE else 1
                self.grids.append(patch_grid(self.grids[-1], step))
                self.stages.extend([nn.LayerNorm(dims[stage - 1]), PatchProjection(dims[stage - 1], dim, step)])
            self.stages.extend(ConvNextBlock(dim, next(rates)) for _ in range(depth))
        self.register_buffer("pooling", grid_average_matrix(self.grids[-1], POOLED_SHAPE), persistent=False)
        self.project = nn.Linear(POOLED_SHAPE[0] * POOLED_SHAPE[1] * dims[-1], config.encoder_dim)

    def forward(self, image: Tensor) -> Tensor:
        """Return the token, shape (B, D), of an image of shape (B, H, W, 4)."""
        x = self.stages(self.stem(image))
        pooled = torch.matmul(self.pooling, x.flatten(1, 2))  # (B, h, w, C) -> (B, 16, C)
        return self.project(pooled.flatten(1))


def hex_average_matrix() -> Tensor:
    """Return the weights that average a staggered face into thirds of each of its rows: shape (18, 73)."""
    return torch.block_diag(*(area_average_matrix(length, HEX_POOLED_COLUMNS) for length in STAGGERED_ROWS))


def hex_coordinates() -> Tensor:
    """Return row and place along the row of each sensor of a staggered face, both from -1 to 1, shape (73, 2)."""
    rows = grid_coordinates((len(STAGGERED_ROWS), 1))[:, 0, 0]
    places = torch.cat([grid_coordinates((1, length))[0, :, 1] for length in STAGGERED_ROWS])
    return torch.stack([rows.repeat_interleave(torch.tensor(STAGGERED_ROWS)), places], dim=-1)


class StaggeredNetwork(nn.Module):
    """HexNeXt stages on the 73 sensors of a staggered face, averaged over thirds of rows and projected to one token.

    Args:
        config: Stages and width of the token.
    """

    pooling: Tensor
    coordinates: Tensor

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        dims = config.stage_dims
        rates = iter(drop_path_rates(config.drop_path_rate, sum(config.stage_depths)))
        neighbours = torch.tensor(neighbour_table())
        self.lift = nn.Linear(NUM_FEATURES, dims[0])
        self.position = nn.Linear(2, dims[0], bias=False)
        self.norm = nn.LayerNorm(dims[0])
        self.stages = nn.Sequential()
        for stage, (dim, depth) in enumerate(zip(dims, config.stage_depths, strict=True)):
            if stage > 0:
                self.stages.extend([nn.LayerNorm(dims[stage - 1]), nn.Linear(dims[stage - 1], dim)])
            self.stages.extend(HexNextBlock(dim, neighbours, next(rates)) for _ in range(depth))
        self.register_buffer("pooling", hex_average_matrix(), persistent=False)
        self.register_buffer("coordinates", hex_coordinates(), persistent=False)
        self.project = nn.Linear(len(self.pooling) * dims[-1], config.encoder_dim)

    def forward(self, features: Tensor) -> Tensor:
        """Return the token, shape (B, D), of sensors of shape (B, 73, 4)."""
        x = self.stages(self.norm(self.lift(features) + self.position(self.coordinates)))
        return self.project(torch.matmul(self.pooling, x).flatten(1))  # (B, 73, C) -> (B, 18, C) -> (B, D)
