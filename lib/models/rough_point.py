"""A first guess of where the light comes from, by formula."""

import numpy as np
import torch
from torch import Tensor, nn

from lib.geometry.sensors import REFERENCE_RADIUS
from lib.geometry.solid_angle import mppc_solid_angle
from lib.models.window import U_PITCH, V_PITCH, Window

_DEGREE = 4
DEPTHS = (0.5, 25.0)
"""Range of the depth in cm that the width of a spot tells; outside, its ends are taken."""


def lit_sensors(photons: Tensor) -> Tensor:
    """Return the effective number of sensors among which the light is divided, (sum n)^2 / sum n^2.

    Args:
        photons: Shape (B, N).

    Returns:
        From 1 to N, shape (B,); 0 in the dark.
    """
    return photons.sum(dim=1).square() / photons.square().sum(dim=1).clamp_min(1e-6)


def spot_widths(depths: np.ndarray[tuple[int], np.dtype[np.float64]], side: int) -> Tensor:
    """Return ``lit_sensors`` of a point source at each depth (cm), in a square window of the inner face."""
    steps = np.arange(side) - side // 2
    # The source stands anywhere over its brightest sensor: a few places between middle and corner.
    offsets = np.array([0.0, 0.25, 0.5])
    du = U_PITCH * (offsets[:, None, None] - steps[None, None, :])
    dv = V_PITCH * (offsets[:, None, None] - steps[None, :, None])
    light = mppc_solid_angle(du[None], dv[None], depths[:, None, None, None])
    widths = [lit_sensors(torch.as_tensor(light[:, place]).flatten(1)) for place in range(len(offsets))]
    return torch.stack(widths).mean(dim=0)


class RoughPoint(nn.Module):
    """u and v of the centroid of squared charges, w of a point source whose spot on the inner face is as wide.

    Squares, because the light of a source falls off so slowly that the plain centroid is pulled to the middle of
    whatever window it is taken in.

    Args:
        side: Side of the window.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, side: int) -> None:
        super().__init__()
        steps = torch.arange(side, dtype=torch.float32) - side // 2
        self.register_buffer("rows", steps.repeat_interleave(side), persistent=False)
        self.register_buffer("columns", steps.repeat(side), persistent=False)
        depths = np.geomspace(*DEPTHS, 60)
        log_width = torch.log(spot_widths(depths, side)).numpy()
        self.log_width_range = (float(log_width[0]), float(log_width[-1]))
        # Around the middle of the range, where its terms do not cancel.
        self.middle = 0.5 * sum(self.log_width_range)
        coefficients = np.polynomial.polynomial.polyfit(log_width - self.middle, np.log(depths), _DEGREE)
        self.coefficients = tuple(float(c) for c in coefficients)

    def forward(self, photons: Tensor, window: Window) -> Tensor:
        """Return u, v, w in cm, shape (B, 3), for the photons of the window's pixels, (B, side * side)."""
        squares = photons.square()
        total = squares.sum(dim=1).clamp_min(1e-6)
        u = window.uv[:, 0] + U_PITCH * (squares * self.columns).sum(dim=1) / total
        v = window.uv[:, 1] - V_PITCH * (squares * self.rows).sum(dim=1) / total
        log_width = torch.log(lit_sensors(photons).clamp_min(1.0)).clamp(*self.log_width_range)
        from_middle = log_width - self.middle
        *lower, highest = self.coefficients
        log_depth = highest * from_middle
        for coefficient in reversed(lower[1:]):
            log_depth = (log_depth + coefficient) * from_middle
        depth = torch.exp(log_depth + lower[0]).clamp(*DEPTHS)
        return torch.stack([u, v, depth], dim=1)


def to_xyz(uvw: Tensor) -> Tensor:
    """Return Cartesian positions of shape (B, 3) for detector coordinates of shape (B, 3), cm."""
    u, v, w = uvw.unbind(dim=1)
    phi, radius = v / REFERENCE_RADIUS, w + REFERENCE_RADIUS
    return torch.stack([-radius * torch.cos(phi), radius * torch.sin(phi), u], dim=1)
