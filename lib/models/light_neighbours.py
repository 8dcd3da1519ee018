"""What the nearest PMTs of each PMT measured, compared with what was expected of them."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.geometry.sensors import NUM_MPPC, NUM_SENSORS, nominal_sensors

NUM_PMTS = NUM_SENSORS - NUM_MPPC
NUM_NEAR = 8
_DYNAMIC = 3
_PHOTONS_OF_NOISE = 40.0
_CENTIMETRES = 10.0


def nearest_pmts() -> np.ndarray[tuple[int, int], np.dtype[np.intp]]:
    """Return the nearest PMTs of each one on whatever face, counted from the first PMT, shape (668, 8)."""
    position = nominal_sensors().positions[NUM_MPPC:]
    square = ((position[:, None] - position) ** 2).sum(axis=-1)
    return np.argsort(square, axis=1, kind="stable")[:, 1 : NUM_NEAR + 1]


def nearest_mppcs() -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return the MPPC nearest to each PMT, shape (668,)."""
    position = nominal_sensors().positions
    square = ((position[NUM_MPPC:, None] - position[:NUM_MPPC]) ** 2).sum(axis=-1)
    return np.argmin(square, axis=1)


def _relative_places(near: np.ndarray[tuple[int, int], np.dtype[np.intp]]) -> Tensor:
    """Return the way to each neighbour along z, phi and r, its length, and the cosine of the normals, (5, 668 * 8)."""
    table = nominal_sensors()
    position, normal = table.positions[NUM_MPPC:], table.normals[NUM_MPPC:]
    phi = np.arctan2(position[:, 1], -position[:, 0])[:, None]
    way = position[near] - position[:, None]
    around = way[..., 0] * np.sin(phi) + way[..., 1] * np.cos(phi)
    outwards = -way[..., 0] * np.cos(phi) + way[..., 1] * np.sin(phi)
    length = np.linalg.norm(way, axis=-1)
    cosine = (normal[near] * normal[:, None]).sum(axis=-1)
    columns = [way[..., 2] / _CENTIMETRES, around / _CENTIMETRES, outwards / _CENTIMETRES, length / _CENTIMETRES]
    return torch.as_tensor(np.stack([*columns, cosine]).reshape(5, -1), dtype=torch.float32)


class PmtNeighbours(nn.Module):
    """A layer that all pairs of near PMTs run, summed over the measured neighbours of each.

    Args:
        dim: Width of the layer.
    """

    near: Tensor
    place: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        near = nearest_pmts()
        self.register_buffer("near", torch.as_tensor(near.reshape(-1)), persistent=False)
        self.register_buffer("place", _relative_places(near), persistent=False)
        self.of_pair = nn.Linear(_DYNAMIC, dim, bias=False)
        self.of_place = nn.Linear(len(self.place), dim)

    def forward(self, photons: Tensor, log_expected: Tensor, measured: Tensor) -> Tensor:
        """Return shape (B, dim, 668) for photons, logarithms of expected ones and flags, each of shape (B, 668)."""
        expected = torch.exp(log_expected) + _PHOTONS_OF_NOISE
        ratio = torch.log(torch.maximum(photons + _PHOTONS_OF_NOISE, 0.1 * expected) / expected)
        terms = torch.stack([ratio * measured, log_expected, measured], dim=1)
        around = terms.index_select(2, self.near)
        own = log_expected[:, :, None].expand(-1, -1, NUM_NEAR).flatten(1)
        pairs = torch.stack([around[:, 0], (around[:, 1] - own) * 0.5, own * 0.2 - 1.0], dim=1)
        weight = self.of_pair.weight
        hidden = torch.bmm(weight.expand(pairs.shape[0], -1, -1), pairs)
        fixed = torch.matmul(self.of_place.weight, self.place) + self.of_place.bias[:, None]
        seen = functional.relu(hidden + fixed) * around[:, 2:]
        return seen.unflatten(2, (NUM_PMTS, NUM_NEAR)).sum(dim=3)
