"""What tells the fusion from which face a token comes."""

import numpy as np
import torch
from torch import Tensor, nn

from lib.geometry.sensors import IndexArray, nominal_sensors

LENGTH_SCALE_CM = 50.0


class LearnedPosition(nn.Module):
    """A learned vector for each face.

    Args:
        num_tokens: Tokens of an event.
        dim: Width of a token.
    """

    def __init__(self, num_tokens: int, dim: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.empty(num_tokens, dim))
        nn.init.trunc_normal_(self.embedding, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return tokens of shape (B, T, D) with their positions added."""
        return tokens + self.embedding


class GeometricPosition(nn.Module):
    """A linear map of where each face lies, where it looks, how far it extends, and of what kind its sensors are.

    Args:
        sensor_ids: Sensors of each token.
        dim: Width of a token.
    """

    geometry: Tensor

    def __init__(self, sensor_ids: list[IndexArray], dim: int) -> None:
        super().__init__()
        rows = np.stack([describe_sensors(ids) for ids in sensor_ids])
        self.register_buffer("geometry", torch.as_tensor(rows, dtype=torch.float32), persistent=False)
        self.project = nn.Linear(rows.shape[1], dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return tokens of shape (B, T, D) with their positions added."""
        return tokens + self.project(self.geometry)


def describe_sensors(sensor_ids: IndexArray) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return centre, mean normal, spread (in units of 50 cm) and share of MPPCs of a group of sensors, shape (10,).

    The spread tells the dense patch of the outer face from the coarse lattice around it, whose centre it shares.
    """
    table = nominal_sensors()
    positions = table.positions[sensor_ids] / LENGTH_SCALE_CM
    kind = table.is_mppc[sensor_ids].mean(keepdims=True)
    return np.concatenate([positions.mean(axis=0), table.normals[sensor_ids].mean(axis=0), positions.std(axis=0), kind])
