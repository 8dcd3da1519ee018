"""Sensors as receivers of light: size, angular response and attenuation on the way."""

import numpy as np

from lib.geometry.sensors import MPPC_CHIP_GAP, MPPC_CHIP_WIDTH, PMT_RADIUS, SensorTable
from lib.simulation.config import XenonConfig
from lib.simulation.kernels import LightConstants
from lib.simulation.particles import SPEED_OF_LIGHT, Float32Array

MPPC_AREA = 4 * MPPC_CHIP_WIDTH**2
PMT_AREA = np.pi * PMT_RADIUS**2

# Mean square of a coordinate on the sensitive surface, cm^2: its size to second order.
_MPPC_SPREAD = (0.5 * (MPPC_CHIP_WIDTH + MPPC_CHIP_GAP)) ** 2 + MPPC_CHIP_WIDTH**2 / 12
_PMT_SPREAD = PMT_RADIUS**2 / 4

# Angular response min(1, 0.55 + 0.75 cos): a window reflects more towards grazing incidence.
_RESPONSE_GRAZING, _RESPONSE_SLOPE = 0.55, 0.75
_MIN_SQUARE = 0.05  # cm^2


def light_constants(xenon: XenonConfig) -> LightConstants:
    """Return the constants of the light's way to a sensor."""
    attenuation = 1 / xenon.absorption_length + 1 / xenon.rayleigh_length
    slowness = xenon.group_index / float(SPEED_OF_LIGHT)
    return LightConstants(attenuation, slowness, _RESPONSE_GRAZING, _RESPONSE_SLOPE, _MIN_SQUARE)


def angular_response(cosine: Float32Array) -> Float32Array:
    """Return the share of the light that a sensor accepts at this cosine of the angle of incidence."""
    return np.minimum(1, np.float32(_RESPONSE_GRAZING) + np.float32(_RESPONSE_SLOPE) * cosine)


def receiver_rows(sensors: SensorTable) -> Float32Array:
    """Return position, normal, spread and area over 4 pi of the sensors as rows, shape (8, 4760)."""
    is_mppc = sensors.is_mppc
    spread = np.where(is_mppc, _MPPC_SPREAD, _PMT_SPREAD)
    area_share = np.where(is_mppc, MPPC_AREA, PMT_AREA) / (4 * np.pi)
    return np.stack([*sensors.positions.T, *sensors.normals.T, spread, area_share]).astype(np.float32)
