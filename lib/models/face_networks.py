"""Networks that turn the sensors of one face into its tokens."""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from lib.geometry.hex_grid import neighbour_table
from lib.geometry.sensors import STAGGERED_ROWS
from lib.models.config import EncoderConfig
from lib.models.sensor_inputs import NPHO_FLAG, NUM_FEATURES
from lib.nn.area_average import area_average_matrix, grid_average_matrix
from lib.nn.convnext import ConvNextBlock, PatchProjection, patch_grid
from lib.nn.drop_path import drop_path_rates
from lib.nn.hexnext import HexNextBlock
from lib.nn.precise import in_float32
from lib.nn.stage import Stage, seen_patches

POOLED_SHAPE = (4, 4)
HEX_POOLED_COLUMNS = 3
SMALLEST_SIDE = 4
"""No side of an image is halved below this."""
SMALLEST_SHARE = 1e-3
"""Of a cell: less than any position has, so that only a cell without any falls below."""


def is_measured(features: Tensor) -> Tensor:
    """Return where photons were measured, shape (...), for features of shape (..., 4)."""
    return features[..., NPHO_FLAG] > 0


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


class TokenProjection(nn.Module):
    """Averages the positions of a face over a few cells, and projects the cells of each of its areas to a token.

    Args:
        pooling: Weights of the positions in each cell, shape (P, N); the cells of an area follow each other.
        dim: Channels of a position.
        token_dim: Width of a token.
        num_areas: Into how many areas the cells fall.
    """

    pooling: Tensor

    def __init__(self, pooling: Tensor, dim: int, token_dim: int, num_areas: int = 1) -> None:
        super().__init__()
        self.num_areas = num_areas
        self.register_buffer("pooling", pooling, persistent=False)
        self.project = nn.Linear(len(pooling) // num_areas * dim, token_dim)

    def forward(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """Return tokens of shape (B, A, D).

        Args:
            x: Positions, shape (B, N, C).
            seen: Which of them the averages are taken over, shape (B, N); None for all.
        """
        cells = torch.matmul(self.pooling, x)
        if seen is not None:
            # What is not seen is zero, and counts as little in the weights: (B, N) -> (B, P, 1).
            share = in_float32(lambda weight: torch.matmul(weight, self.pooling.T), seen.float())[..., None]
            cells = cells / share.clamp_min(SMALLEST_SHARE).to(cells.dtype)
        return self.project(cells.unflatten(1, (self.num_areas, -1)).flatten(2))  # (B, P, C) -> (B, A, P / A * C)


def grid_projection(shape: tuple[int, int], dim: int, token_dim: int, num_areas: int = 1) -> TokenProjection:
    """Return the projection of an image of (H, W), averaged to 4 x 4 cells, into tokens of square areas."""
    side = math.isqrt(num_areas)
    cells = torch.arange(POOLED_SHAPE[0] * POOLED_SHAPE[1])
    cells = cells.view(side, POOLED_SHAPE[0] // side, side, POOLED_SHAPE[1] // side).transpose(1, 2).flatten()
    return TokenProjection(grid_average_matrix(shape, POOLED_SHAPE)[cells], dim, token_dim, num_areas)


class RectangularNetwork(nn.Module):
    """ConvNeXt V2 stages on an image, each of whose last map is averaged to a 4 x 4 grid and projected to tokens.

    Between stages the image is halved, as long as no side falls below four.

    Attributes:
        grids: (H, W) of the image in each stage.

    Args:
        shape: (H, W) of the image.
        config: Stages, width of a token, and whether stages before the last have tokens of their own.
        patch: Side of the patches of the stem.
        num_areas: Tokens of the last stage: 1, 4 or 16.
    """

    def __init__(self, shape: tuple[int, int], config: EncoderConfig, *, patch: int = 1, num_areas: int = 1) -> None:
        super().__init__()
        dims = config.stage_dims
        rates = iter(drop_path_rates(config.drop_path_rate, sum(config.stage_depths)))
        self.stem = PositionalStem(shape, NUM_FEATURES, dims[0], patch)
        self.grids = [self.stem.shape]
        self.stages = nn.ModuleList()
        self.masked = config.masked_convolution
        for stage, (dim, depth) in enumerate(zip(dims, config.stage_depths, strict=True)):
            entrance = None
            if stage > 0:
                step = 2 if min(patch_grid(self.grids[-1], 2)) >= SMALLEST_SIDE else 1
                self.grids.append(patch_grid(self.grids[-1], step))
                entrance = PatchProjection(dims[stage - 1], dim, step)
            self.stages.append(Stage((ConvNextBlock(dim, next(rates)) for _ in range(depth)), entrance))
        last = grid_projection(self.grids[-1], dims[-1], config.encoder_dim, num_areas)
        early = zip(self.grids[:-1], dims[:-1], strict=True) if config.multi_scale else ()
        self.tokens = StageTokens(last, [grid_projection(grid, dim, config.encoder_dim) for grid, dim in early])

    def forward(self, image: Tensor) -> Tensor:
        """Return tokens, shape (B, K, D), of an image of shape (B, H, W, 4)."""
        seen = seen_patches(is_measured(image), self.stem.patches.patch) if self.masked else None
        return self.tokens(self.stages, self.stem(image), seen)


class StageTokens(nn.Module):
    """Tokens of the last stage, and behind them those of the stages before.

    Attributes:
        num_areas: Tokens of the last stage.
        num_tokens: All tokens.

    Args:
        last: Of the last stage.
        early: Of the others, from the first on; empty where they have none.
    """

    def __init__(self, last: TokenProjection, early: Sequence[TokenProjection]) -> None:
        super().__init__()
        self.num_areas, self.num_tokens = last.num_areas, last.num_areas + len(early)
        self.last, self.early = last, nn.ModuleList(early)

    def forward(self, stages: Iterable[nn.Module], x: Tensor, seen: Tensor | None) -> Tensor:
        """Return tokens, shape (B, K, D).

        Args:
            stages: The stages that x passes.
            x: An image of shape (B, H, W, C), or positions of shape (B, N, C).
            seen: Which of them are to be looked at, shape (B, H, W) or (B, N); None for all.
        """
        maps = []
        for stage in stages:
            x, seen = stage(x, seen)
            maps.append((x.flatten(1, -2), None if seen is None else seen.flatten(1)))
        early = [project(*one) for project, one in zip(self.early, maps, strict=False)]
        return torch.cat([self.last(*maps[-1]), *early], dim=1)


def hex_average_matrix() -> Tensor:
    """Return the weights that average a staggered face into thirds of each of its rows: shape (18, 73)."""
    return torch.block_diag(*(area_average_matrix(length, HEX_POOLED_COLUMNS) for length in STAGGERED_ROWS))


def hex_coordinates() -> Tensor:
    """Return row and place along the row of each sensor of a staggered face, both from -1 to 1, shape (73, 2)."""
    rows = grid_coordinates((len(STAGGERED_ROWS), 1))[:, 0, 0]
    places = torch.cat([grid_coordinates((1, length))[0, :, 1] for length in STAGGERED_ROWS])
    return torch.stack([rows.repeat_interleave(torch.tensor(STAGGERED_ROWS)), places], dim=-1)


class StaggeredNetwork(nn.Module):
    """HexNeXt stages on the 73 sensors of a staggered face, averaged over thirds of rows and projected to tokens.

    Args:
        config: Stages, width of a token, and whether stages before the last have tokens of their own.
    """

    coordinates: Tensor

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        dims = config.stage_dims
        rates = iter(drop_path_rates(config.drop_path_rate, sum(config.stage_depths)))
        neighbours = torch.tensor(neighbour_table())
        self.lift = nn.Linear(NUM_FEATURES, dims[0])
        self.position = nn.Linear(2, dims[0], bias=False)
        self.norm = nn.LayerNorm(dims[0])
        self.stages = nn.ModuleList()
        self.masked = config.masked_convolution
        for stage, (dim, depth) in enumerate(zip(dims, config.stage_depths, strict=True)):
            entrance = PatchProjection(dims[stage - 1], dim, 1) if stage > 0 else None
            self.stages.append(Stage((HexNextBlock(dim, neighbours, next(rates)) for _ in range(depth)), entrance))
        self.register_buffer("coordinates", hex_coordinates(), persistent=False)
        pooling, width = hex_average_matrix(), config.encoder_dim
        early = dims[:-1] if config.multi_scale else ()
        self.tokens = StageTokens(
            TokenProjection(pooling, dims[-1], width), [TokenProjection(pooling, dim, width) for dim in early]
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return tokens, shape (B, K, D), of sensors of shape (B, 73, 4)."""
        x = self.norm(self.lift(features) + self.position(self.coordinates))
        return self.tokens(self.stages, x, is_measured(features) if self.masked else None)
