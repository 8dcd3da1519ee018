"""How much more light was measured around each sensor than expected, averaged over areas of growing size."""

import numpy as np
import torch
from torch import Tensor, nn

from lib.geometry.sensors import INNER_SHAPE, NUM_MPPC, nominal_sensors

INNER_WIDTHS = (0.8, 1.6, 3.2, 6.4, 12.8)
"""Standard deviations of the averages on the inner face, in sensors."""
PMT_WIDTHS = (7.0, 12.0, 24.0, 60.0)
"""Standard deviations of the averages among PMTs, in cm in space."""
# Photons of noise of one sensor, twice: averages below it say nothing of a ratio.
_INNER_NOISE, _PMT_NOISE = 60.0, 20.0


def _log_ratio(measured: Tensor, expected: Tensor, noise: Tensor) -> Tensor:
    """Return the logarithm of a ratio of averages that goes to 0 where both are small."""
    # A sum over faint sensors may be negative.
    return torch.log(torch.maximum(measured + noise, 0.1 * noise) / (expected + noise))


def gaussian_rows(length: int, width: float) -> Tensor:
    """Return weights that average along a line of sensors with a Gaussian of some width, shape (length, length)."""
    place = torch.arange(length, dtype=torch.float64)
    weights = torch.exp(-0.5 * ((place[:, None] - place) / width) ** 2)
    return (weights / weights.sum(dim=1, keepdim=True)).float()


class InnerRatios(nn.Module):
    """Ratios on the inner face; an average over an area is one along columns, then one along rows."""

    along_v: Tensor
    along_u: Tensor
    noise: Tensor

    def __init__(self) -> None:
        super().__init__()
        along_v, along_u = (torch.stack([gaussian_rows(side, w) for w in INNER_WIDTHS]) for side in INNER_SHAPE)
        squares = along_v.square().sum(dim=2)[:, :, None] * along_u.square().sum(dim=2)[:, None]
        self.register_buffer("along_v", along_v, persistent=False)
        self.register_buffer("along_u", along_u.flatten(0, 1).T.contiguous(), persistent=False)
        self.register_buffer("noise", _INNER_NOISE * squares.sqrt().flatten(1)[None], persistent=False)

    def forward(self, photons: Tensor, expected: Tensor, measured: Tensor) -> Tensor:
        """Return logarithms of ratios, shape (B, 5, 4092).

        Args:
            photons: Measured ones, shape (B, 4760).
            expected: What they are compared with, same shape.
            measured: 1 for sensors that count, else 0, same shape.
        """
        images = torch.stack([photons * measured, expected * measured], dim=1)[..., :NUM_MPPC].unflatten(2, INNER_SHAPE)
        count, width = len(INNER_WIDTHS), INNER_SHAPE[1]
        # As two large products: (B, 2, 93, 44) -> (B, 2, 93, 5 * 44) -> (5, 93, B * 2 * 44) -> the same.
        rows = torch.matmul(images, self.along_u).unflatten(3, (count, width)).permute(3, 2, 0, 1, 4)
        averages = torch.matmul(self.along_v, rows.flatten(2)).unflatten(2, (-1, 2, width))
        total, reference = averages.permute(3, 2, 0, 1, 4).flatten(3).unbind(0)
        return _log_ratio(total, reference, self.noise)


class PmtRatios(nn.Module):
    """Ratios at the PMTs, from all PMTs around whatever face they are on."""

    weights: Tensor
    noise: Tensor

    def __init__(self) -> None:
        super().__init__()
        position = nominal_sensors().positions[NUM_MPPC:]
        square = ((position[:, None] - position) ** 2).sum(axis=-1)
        weights = np.stack([np.exp(-0.5 * square / width**2) for width in PMT_WIDTHS])
        weights /= weights.sum(axis=2, keepdims=True)
        columns = weights.reshape(-1, weights.shape[2]).T.copy()  # (668, 4 * 668)
        self.register_buffer("weights", torch.as_tensor(columns, dtype=torch.float32), persistent=False)
        noise = _PMT_NOISE * np.sqrt((weights**2).sum(axis=2))
        self.register_buffer("noise", torch.as_tensor(noise[None], dtype=torch.float32), persistent=False)

    def forward(self, photons: Tensor, expected: Tensor, measured: Tensor) -> Tensor:
        """Return logarithms of ratios, shape (B, 4, 668), of what ``InnerRatios`` takes."""
        terms = torch.stack([photons * measured, expected * measured])[..., NUM_MPPC:]  # (2, B, 668)
        total, reference = torch.matmul(terms, self.weights).unflatten(2, (len(PMT_WIDTHS), -1)).unbind(0)
        return _log_ratio(total, reference, self.noise)
