"""Direct light integrated numerically over the sensitive surfaces: slow, and exact to 1e-3."""

import numpy as np

from lib.geometry.sensors import (
    MPPC_CHIP_GAP,
    MPPC_CHIP_WIDTH,
    NUM_MPPC,
    PMT_RADIUS,
    FloatArray,
    SensorTable,
)
from lib.simulation.kernels import LightConstants

_CHIP_POINTS, _RADIAL_POINTS, _AZIMUTHS = 5, 6, 12


def exact_shares(position: FloatArray, sensors: SensorTable, constants: LightConstants) -> FloatArray:
    """Return the share of a source's light that each sensor accepts.

    Args:
        position: One source, cm, shape (3,).
        sensors: The detector.
        constants: Angular response and attenuation.

    Returns:
        Shape (4760,).
    """
    parts = []
    for ids, points, weights in (
        (slice(0, NUM_MPPC), *_chip_points()),
        (slice(NUM_MPPC, None), *_disc_points()),
    ):
        normals = sensors.normals[ids]
        first = np.cross(normals, np.where(np.abs(normals[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]]))
        first /= np.linalg.norm(first, axis=1, keepdims=True)
        second = np.cross(normals, first)
        surface = sensors.positions[ids][:, None] + first[:, None] * points[:, :1] + second[:, None] * points[:, 1:]
        offset = position - surface  # (sensors, points, 3)
        distance = np.linalg.norm(offset, axis=2)
        cosine = np.maximum(np.einsum("spi,si->sp", offset, normals), 0) / distance
        accepted = np.minimum(1, constants.grazing + constants.slope * cosine)
        parts.append((cosine * accepted / distance**2 * np.exp(-constants.attenuation * distance)) @ weights)
    return np.concatenate(parts) / (4 * np.pi)


def _chip_points() -> tuple[FloatArray, FloatArray]:
    """Return points on the four chips of an MPPC, shape (n, 2), and their areas, shape (n,)."""
    nodes, weights = np.polynomial.legendre.leggauss(_CHIP_POINTS)
    centre = 0.5 * (MPPC_CHIP_GAP + MPPC_CHIP_WIDTH)
    line = np.concatenate([side * centre + 0.5 * MPPC_CHIP_WIDTH * nodes for side in (-1, 1)])
    length = np.tile(0.5 * MPPC_CHIP_WIDTH * weights, 2)
    x, y = np.meshgrid(line, line)
    return np.column_stack([x.ravel(), y.ravel()]), np.outer(length, length).ravel()


def _disc_points() -> tuple[FloatArray, FloatArray]:
    """Return points on the photocathode of a PMT, shape (n, 2), and their areas, shape (n,)."""
    nodes, weights = np.polynomial.legendre.leggauss(_RADIAL_POINTS)
    # In the squared radius the area is uniform.
    radius = PMT_RADIUS * np.sqrt(0.5 * (nodes + 1))
    azimuth = 2 * np.pi * np.arange(_AZIMUTHS) / _AZIMUTHS
    points = np.stack([np.outer(radius, np.cos(azimuth)), np.outer(radius, np.sin(azimuth))], axis=-1)
    area = np.repeat(0.5 * weights * np.pi * PMT_RADIUS**2 / _AZIMUTHS, _AZIMUTHS)
    return points.reshape(-1, 2), area
