"""The window around the brightest place of the inner face."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lib.geometry.sensors import INNER_PHI_PITCH, INNER_SHAPE, INNER_Z_PITCH, NUM_MPPC, REFERENCE_RADIUS
from lib.models.photons import box_sum

EQUALLY_BRIGHT = 1.0 - 1e-4
"""Share of the largest sum of roots from which another counts as large; photons scatter a hundred times more."""
V_PITCH = float(REFERENCE_RADIUS * INNER_PHI_PITCH)
U_PITCH = INNER_Z_PITCH


class Window(NamedTuple):
    """Where the window of each event lies.

    Attributes:
        uv: Centre of its middle sensor, u and v in cm, shape (B, 2).
        sensor_ids: Sensor of each of its pixels, row by row, shape (B, side * side); beyond the edge of the face, the
            nearest one.
        inside: True for pixels on the face, shape (B, side * side).
    """

    uv: Tensor
    sensor_ids: Tensor
    inside: Tensor

    def gather(self, values: Tensor) -> Tensor:
        """Return the values at the pixels, 0 beyond the face: (B, side * side) from (B, 4760)."""
        return torch.where(self.inside, torch.gather(values, 1, self.sensor_ids), 0.0)


class BrightestWindow(nn.Module):
    """Centres a square window on the sensor whose 3 x 3 neighbourhood is brightest, itself counted twice.

    A sum over nine sensors, and over the roots of their counts, so that neither a noisy nor a dead sensor decides;
    twice, so that a corner of the face can win against its neighbours.

    Args:
        side: Sensors along each side of the window; odd.
    """

    rows: Tensor
    columns: Tensor
    places: Tensor
    uv: Tensor

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side
        steps = torch.arange(side) - side // 2
        # Looked up, not divided: a runtime divides whole numbers in six operations.
        places = torch.cartesian_prod(*(torch.arange(length) for length in INNER_SHAPE))  # (4092, 2)
        middle = 0.5 * (torch.tensor(INNER_SHAPE) - 1)
        uv = ((places - middle) * torch.tensor([-V_PITCH, U_PITCH])).flip(1)
        self.register_buffer("places", places, persistent=False)
        self.register_buffer("uv", uv, persistent=False)
        self.register_buffer("rows", steps.repeat_interleave(side), persistent=False)
        self.register_buffer("columns", steps.repeat(side), persistent=False)

    def forward(self, photons: Tensor) -> Window:
        """Return the windows for photons of shape (B, 4760), without holes."""
        height, width = INNER_SHAPE
        inner = photons[:, :NUM_MPPC].sqrt().unflatten(1, INNER_SHAPE)
        smooth = box_sum(inner) + inner
        smooth = smooth.flatten(1)
        # The first that is as bright as the brightest but for rounding, which differs from program to program.
        brightest = (smooth >= smooth.amax(dim=1, keepdim=True) * EQUALLY_BRIGHT).float().argmax(dim=1)
        row, column = self.places.index_select(0, brightest).split(1, dim=1)
        rows, columns = row + self.rows, column + self.columns
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        sensor_ids = rows.clamp(0, height - 1) * width + columns.clamp(0, width - 1)
        return Window(self.uv.index_select(0, brightest), sensor_ids, inside)
