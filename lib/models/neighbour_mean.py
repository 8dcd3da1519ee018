"""The first guess for a dead sensor: the mean of its measured neighbours."""

import numpy as np
import torch
from torch import Tensor, nn

from lib.geometry.neighbours import nearest_sensors
from lib.geometry.sensors import nominal_sensors

NUM_NEIGHBOURS = 12
_NUM_PORTIONS = 68  # of 70 sensors each


class NeighbourMean(nn.Module):
    """Averages the measured ones among the twelve nearest sensors of the same face, near ones counting more.

    Where none of them was measured, the mean over the whole event stands in.
    """

    neighbours: Tensor
    weights: Tensor

    def __init__(self) -> None:
        super().__init__()
        table = nominal_sensors()
        neighbours = nearest_sensors(table, NUM_NEIGHBOURS, same_face=True)
        offsets = table.positions[neighbours] - table.positions[:, None]
        weights = 1.0 / np.sum(offsets**2, axis=-1)
        weights /= weights.sum(axis=1, keepdims=True)
        self.register_buffer("neighbours", torch.as_tensor(neighbours.flatten()), persistent=False)
        self.register_buffer("weights", torch.as_tensor(weights, dtype=torch.float32)[..., None], persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return means of npho and time, shape (B, 4760, 2), from features of shape (B, 4760, 4)."""
        x, measured = features[..., :2], features[..., 2:]
        terms = torch.cat([x * measured, measured], dim=-1)
        gathered = terms.index_select(1, self.neighbours).unflatten(1, (features.shape[1], NUM_NEIGHBOURS))
        total, weight = (gathered * self.weights).sum(dim=2).split(2, dim=-1)
        # In portions: added one by one, as ONNX Runtime does along a middle axis, thousands of like numbers lose the
        # fifth digit in float32.
        portions = terms.unflatten(1, (_NUM_PORTIONS, -1)).sum(dim=2)
        event_total, event_count = portions.sum(dim=1, keepdim=True).split(2, dim=-1)
        event_mean = event_total / event_count.clamp_min(1.0)
        return torch.where(weight > 0, total / weight.clamp_min(1e-6), event_mean)
