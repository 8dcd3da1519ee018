"""The fovea: the surroundings of the brightest place at full resolution, as one more token."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.models.event_summary import EventSummary
from lib.models.face_networks import PositionalStem
from lib.models.point_fit import NUM_FIT_FEATURES
from lib.models.sensor_inputs import NO_CHARGE
from lib.nn.convnext import ConvNextBlock, PatchProjection
from lib.nn.drop_path import drop_path_rates
from lib.nn.precise import in_float32

NUM_CHANNELS = 3
NUM_PLACE = 4
_MAX_RESIDUAL_NS = 3.0
_LINEAR_ERRORS = 3.0


class FoveaNetwork(nn.Module):
    """ConvNeXt V2 stages on the window, all of whose positions reach the token.

    The light enters as a pattern: the root of each pixel's share, whose statistical error is the same for all pixels;
    and, where a point was fitted, as what the point leaves over. How much light there is, and where the window and the
    point lie, is told beside it.

    Args:
        side: Side of the window.
        patch: Side of the patches of the stem.
        dims: Channels of the stages; from one to the next the image is halved.
        depths: Blocks of each stage.
        num_dense: Layers over the whole window after the stages.
        token_dim: Width of the token.
        drop_path_rate: Largest probability of leaving out a block.
        fit: Whether the summary has a fitted point.
    """

    def __init__(
        self,
        side: int,
        *,
        patch: int,
        dims: tuple[int, ...],
        depths: tuple[int, ...],
        num_dense: int,
        token_dim: int,
        drop_path_rate: float,
        fit: bool = False,
    ) -> None:
        super().__init__()
        self.side = side
        rates = iter(drop_path_rates(drop_path_rate, sum(depths)))
        self.stem = PositionalStem((side, side), NUM_CHANNELS + fit, dims[0], patch)
        side = self.stem.shape[0]
        self.stages = nn.Sequential()
        for stage, (dim, depth) in enumerate(zip(dims, depths, strict=True)):
            if stage > 0:
                side = -(-side // 2)
                self.stages.extend([nn.LayerNorm(dims[stage - 1]), PatchProjection(dims[stage - 1], dim, 2)])
            self.stages.extend(ConvNextBlock(dim, next(rates)) for _ in range(depth))
        self.norm = nn.LayerNorm(dims[-1])
        self.project = nn.Linear(side * side * dims[-1], token_dim)
        self.dense = nn.Sequential(*(DenseBlock(token_dim) for _ in range(num_dense)))
        self.place = nn.Linear(NUM_PLACE + (NUM_FIT_FEATURES if fit else 0), token_dim)

    def forward(self, summary: EventSummary) -> Tensor:
        """Return the token of the window, shape (B, D)."""
        photons, measured, residuals = summary.image.unbind(dim=2)
        total = photons.sum(dim=1, keepdim=True).clamp_min(1.0)
        pattern = self.side * torch.sqrt((photons + NO_CHARGE) / total)
        times = residuals.clamp(-_MAX_RESIDUAL_NS, _MAX_RESIDUAL_NS)
        channels = [pattern, measured, times]
        if summary.fitted is not None:
            # Logarithmic beyond a few errors: near the surface, what a point leaves over is many of them.
            channels.append(torch.asinh(summary.fitted.residuals / _LINEAR_ERRORS))
        image = torch.stack(channels, dim=2).unflatten(1, (self.side, self.side))
        x = self.norm(self.stages(self.stem(image)))
        u, v = summary.window.uv.split(1, dim=1)
        depth = torch.log(summary.uvw[:, 2:])
        place = torch.cat([u / 24.0, v / 68.0, depth - 1.0, torch.log(total) - 12.0], dim=1)
        if summary.fitted is not None:
            place = torch.cat([place, summary.fitted.features(summary.window)], dim=1)
        return self.dense(self.project(functional.gelu(x.flatten(1))) + in_float32(self.place, place))


class DenseBlock(nn.Module):
    """Normalization and two layers around a GELU; residual.

    Args:
        dim: Width.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, 2 * dim)
        self.project = nn.Linear(2 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Transform (B, dim)."""
        return x + self.project(functional.gelu(self.expand(self.norm(x))))
