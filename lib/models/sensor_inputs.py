"""Sensors as network inputs: features of each sensor, and the images of the faces."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.data.normalization import Normalization
from lib.geometry.faces import rectangular_face, staggered_face
from lib.geometry.outer_grid import FINE_SHAPE, outer_grid
from lib.geometry.sensors import NUM_SENSORS, IndexArray
from lib.nn.precise import in_float32

NUM_FEATURES = 4
"""Normalized npho, normalized time, and whether (or for which share of a cell) each was measured."""
NPHO_FLAG = 2
"""Place of the flag of npho among them."""

# Photons that stand for none: the slope of a square root is infinite at zero, and a saliency map is made of slopes.
NO_CHARGE = 1e-6


def sentinel_inputs(normalization: Normalization) -> Tensor:
    """Return the network inputs of a sensor without npho and without time, shape (2,)."""
    return torch.tensor([normalization.sentinel_npho, normalization.sentinel_time], dtype=torch.float32)


class SensorFeatures(nn.Module):
    """Puts the sentinels where nothing was measured and appends the flags.

    Whatever stands at an invalid sensor, NaN included, is gone after this.

    Args:
        normalization: Supplies the sentinels.
    """

    sentinels: Tensor

    def __init__(self, normalization: Normalization) -> None:
        super().__init__()
        # One row for each sensor: runtimes repeat a row of two numbers one by one, a seventh of an event's time.
        sentinels = sentinel_inputs(normalization).repeat(NUM_SENSORS, 1)
        self.register_buffer("sentinels", sentinels, persistent=False)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """Return features of shape (B, 4760, 4) for x and valid of shape (B, 4760, 2)."""
        return torch.cat([torch.where(valid, x, self.sentinels), valid.to(x.dtype)], dim=-1)


def consecutive(sensor_ids: IndexArray) -> slice | None:
    """Return the slice that consecutive ids are, or None if they are not."""
    first, count = int(sensor_ids[0]), len(sensor_ids)
    return slice(first, first + count) if np.array_equal(sensor_ids, np.arange(first, first + count)) else None


def pick(features: Tensor, sensor_ids: Tensor, run: slice | None) -> Tensor:
    """Return the features of some sensors, shape (B, K, C), from (B, 4760, C): where they are in a row, not copied."""
    return features.index_select(1, sensor_ids) if run is None else features[:, run]


class RectangularImage(nn.Module):
    """Arranges the sensors of a rectangular lattice as an image.

    Args:
        name: A face that ``lib.geometry.faces.rectangular_face`` knows.
    """

    sensor_ids: Tensor

    def __init__(self, name: str) -> None:
        super().__init__()
        face = rectangular_face(name)
        self.shape = face.shape
        self.run = consecutive(face.sensor_ids.flatten())
        self.register_buffer("sensor_ids", torch.as_tensor(face.sensor_ids.flatten()), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, H, W, C) from sensors of shape (B, 4760, C)."""
        return pick(features, self.sensor_ids, self.run).unflatten(1, self.shape)


class StaggeredSensors(nn.Module):
    """Picks the sensors of a staggered face.

    Args:
        name: ``top`` or ``bottom``.
    """

    sensor_ids: Tensor

    def __init__(self, name: str) -> None:
        super().__init__()
        sensor_ids = staggered_face(name).sensor_ids
        self.run = consecutive(sensor_ids)
        self.register_buffer("sensor_ids", torch.as_tensor(sensor_ids), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, 73, C) from sensors of shape (B, 4760, C)."""
        return pick(features, self.sensor_ids, self.run)


class OuterImage(nn.Module):
    """Brings the two lattices of the outer face onto their common grid, in photons.

    A sensor's charge is divided among its cells; merged cells add their charges and average their times. Cells
    without a measurement are left out, and the charge of the others is scaled up to the whole window, so that a dead
    sensor does not look like a dark place.

    Args:
        pool: Cells along z and phi that are merged; None keeps the fine grid.
        normalization: Transform of the photon counts, which do not add up after it.
    """

    sensor_ids: Tensor
    share: Tensor
    cells: Tensor
    sentinels: Tensor

    def __init__(self, pool: tuple[int, int] | None, normalization: Normalization) -> None:
        super().__init__()
        along_z, along_phi = pool or (1, 1)
        self.window = float(along_z * along_phi)
        self.shape = (FINE_SHAPE[0] // along_z, FINE_SHAPE[1] // along_phi)
        self.normalization = normalization
        self.register_buffer("sentinels", sentinel_inputs(normalization), persistent=False)
        grid = outer_grid()
        owner = functional.one_hot(torch.tensor(grid.owner), len(grid.covered_ids)).flatten(0, 1)  # (45 * 72, 234)
        windows = owner.unflatten(0, (self.shape[0], along_z, self.shape[1], along_phi)).sum(dim=(1, 3)).flatten(0, 1)
        self.register_buffer("sensor_ids", torch.as_tensor(grid.covered_ids), persistent=False)
        self.register_buffer("share", (1.0 / owner.sum(dim=0))[:, None], persistent=False)
        self.register_buffer("cells", windows.float().T.contiguous(), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, h, w, 4) from the features of all sensors, (B, 4760, 4)."""
        sensors = features.index_select(1, self.sensor_ids)
        x, measured = sensors[..., :2], sensors[..., 2:]
        npho = self.normalization.inverse_npho(x[..., :1]) * self.share
        terms = torch.cat([torch.cat([npho, x[..., 1:]], dim=-1) * measured, measured], dim=-1)
        # A product with the numbers of cells that each window shares with each sensor: the sum over cells, at once.
        totals, count = in_float32(self._merge, terms).unflatten(1, self.shape).split(2, dim=-1)
        means = totals / count.clamp_min(1.0)
        charge = means[..., 0] * self.window + NO_CHARGE
        # Only the count is transformed: a mean of normalized times is the normalized mean already.
        charge_input = self.normalization.apply(charge, torch.zeros_like(charge))[0][..., 0]
        merged = torch.where(count > 0, torch.stack([charge_input, means[..., 1]], dim=-1), self.sentinels)
        return torch.cat([merged, count / self.window], dim=-1)  # two values and two flags

    def _merge(self, sensors: Tensor) -> Tensor:
        """Sum sensors of shape (B, 234, C) over the cells of each window: (B, h * w, C)."""
        return torch.matmul(sensors.transpose(1, 2), self.cells.to(sensors.dtype)).transpose(1, 2)
