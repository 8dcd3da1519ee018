"""Photons of every sensor, as a physicist sums them: linear, never negative, without holes."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.data.normalization import Normalization
from lib.geometry.neighbours import nearest_sensors
from lib.geometry.sensors import INNER_SHAPE, NUM_MPPC, NUM_SENSORS, nominal_sensors

_NEIGHBOURS = 12
_DARK = 1e-3
# Ten times what the brightest sensor sees of a photon of 100 MeV; broken files hold more.
_SATURATED = 1e6


def box_sum(image: Tensor) -> Tensor:
    """Return the sum over the 3 x 3 neighbourhood of each pixel, shape (..., H, W); outside is zero."""
    padded = functional.pad(image, (1, 1, 1, 1))
    rows = padded[..., :-2, :] + padded[..., 1:-1, :] + padded[..., 2:, :]
    return rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]


def pmt_neighbour_weights() -> Tensor:
    """Return the weight of each PMT (columns) in the guess for another of its face (rows), shape (668, 668).

    The twelve nearest count, by the inverse square of their distance.
    """
    table = nominal_sensors()
    neighbours = nearest_sensors(table, _NEIGHBOURS, same_face=True)[NUM_MPPC:]
    offsets = table.positions[neighbours] - table.positions[NUM_MPPC:, None]
    weights = np.zeros((NUM_SENSORS - NUM_MPPC, NUM_SENSORS))
    np.put_along_axis(weights, neighbours, 1.0 / np.sum(offsets**2, axis=-1), axis=1)
    return torch.as_tensor(weights[:, NUM_MPPC:], dtype=torch.float32)


class FilledPhotons(nn.Module):
    """Photon counts from network inputs; a sensor without a value gets the mean of its measured neighbours.

    On the inner face these are the 3 x 3 sensors around it, or the 5 x 5 where none of them was measured; elsewhere
    the twelve nearest of its face. A sensor with no measured neighbour counts as dark.

    Args:
        normalization: The transform that made the inputs.
    """

    pmt_weights: Tensor

    def __init__(self, normalization: Normalization) -> None:
        super().__init__()
        self.normalization = normalization
        self.register_buffer("pmt_weights", pmt_neighbour_weights().T.contiguous(), persistent=False)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """Return photons of shape (B, 4760) for x and valid of shape (B, 4760, 2); finite and at least 0."""
        measured = valid[..., 0]
        counts = self.normalization.inverse_npho(torch.where(measured, x[..., 0], 0.0))
        # A count below zero is pedestal noise; left in, it could turn a sum of a dark face around. And what is next to
        # nothing must be nothing: where else all is dark, the last bit of a rounded zero would place the window.
        counts = torch.where(measured & (counts > _DARK), counts.clamp_max(_SATURATED), 0.0)
        terms = torch.stack([counts, measured.to(counts.dtype)], dim=1)  # (B, 2, 4760)
        guess = torch.cat([self._inner_guess(terms), self._pmt_guess(terms)], dim=1)
        return torch.where(measured, counts, guess)

    @staticmethod
    def _inner_guess(terms: Tensor) -> Tensor:
        near = box_sum(terms[..., :NUM_MPPC].unflatten(2, INNER_SHAPE))
        total, count = near.flatten(2).unbind(1)
        wide_total, wide_count = box_sum(near).flatten(2).unbind(1)
        return torch.where(count > 0, total / count.clamp_min(1.0), wide_total / wide_count.clamp_min(1.0))

    def _pmt_guess(self, terms: Tensor) -> Tensor:
        total, weight = torch.matmul(terms[..., NUM_MPPC:], self.pmt_weights).unbind(1)
        return torch.where(weight > 0, total / weight.clamp_min(1e-6), 0.0)
